"""What no policy changes: the floor, ``/v1``, and what callers see of a decision in every dialect."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_upstream import ANSWER, answers, streams
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.support.policies import save

FIELDS = {
    "policy_id": "p1",
    "policy_user": "ann",
    "policy_user_id": "ann",
    "policy_project_id": "acme",
    "policy_target": "beta",
    "policy_version": 1,
    "policy_anything": {"a": 1},
    "policy": {"rules": {"denylist": ["hi"]}},
}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": chat_request("hi"),
    "/v1/messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"model": "m", "input": "hi"},
}
LOOSE: dict[str, Any] = {
    "rules": {"enforcement_action": "rewrite", "actions": {"denylist": "flag"}, "denylist": ["floor word"]},
    "rollout": {"shadow": {"enabled": True, "sample_percent": 100}},
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("path", BODIES)
async def test_v1_takes_policy_fields_off_and_shows_nothing_of_policies(
    gateway: Gateway, upstream: LoopbackServer, path: str, streamed: bool
) -> None:
    await save(gateway, rules={"denylist": ["hi"]})
    upstream.respond = streams() if streamed else answers()

    body = BODIES[path] | FIELDS | {"stream": streamed}
    response = await gateway.client.post(path, json=body, headers={"x-policy-user": "ann"})

    assert response.status_code == 200
    assert "policy" not in response.text
    assert not [name for name in response.headers if "policy" in name]
    assert "policy" not in upstream.received[0].body.decode()
    assert not [name for name in upstream.received[0].headers if "policy" in name]


@pytest.mark.parametrize("path", BODIES)
async def test_v1_shows_nothing_of_policies_in_its_errors(path: str) -> None:
    async with running_gateway(moderation="demo") as gateway:
        await save(gateway)
        words = json.dumps(BODIES[path] | FIELDS | {"model": "obscura-demo"}).replace('"hi"', '"OBSCURA-BLOCK-ME"')

        response = await gateway.client.post(path, content=words, headers={"content-type": "application/json"})

        assert (response.status_code, response.json()["error"]["code"]) == (400, "moderation_blocked")
        assert "policy" not in response.text
        assert not [name for name in response.headers if "policy" in name]


@pytest.mark.parametrize("path", BODIES)
async def test_no_policy_loosens_the_floor(tmp_path: Path, path: str) -> None:
    floor = tmp_path / "floor.json"
    floor.write_text(json.dumps({"policy_id": "floor", "name": "Floor", "rules": {"denylist": ["floor word"]}}))
    words = json.loads(json.dumps(BODIES[path]).replace('"hi"', '"a floor word"'))
    async with loopback_server(answers()) as upstream:
        async with running_gateway(upstream_url=upstream.v1, policy_floor=str(floor)) as gateway:
            await save(gateway, **LOOSE)

            under, alone = [
                await gateway.client.post(f"/policy{path}", json=words | fields) for fields in ({"policy_id": "p1"}, {})
            ]

        assert [under.status_code, alone.status_code] == [400, 400]
        assert under.json()["policy"]["effective_decision"] == "refuse"
        assert alone.json()["policy"]["rule"] == "floor.denylist"
        assert not upstream.received


async def test_a_policy_in_a_request_is_refused_and_not_passed_over(gateway: Gateway) -> None:
    body = chat_request("hi", policy={"rules": {"denylist": ["hi"]}})

    response = await gateway.client.post("/policy/v1/chat/completions", json=body)

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", "policy")
    assert "policy_id" in error["message"]


async def test_the_floor_holds_for_the_answer_too(tmp_path: Path) -> None:
    floor = tmp_path / "floor.json"
    floor.write_text(json.dumps({"policy_id": "floor", "name": "Floor", "rules": {"denylist": ["cat"]}}))
    async with loopback_server(answers()) as upstream:
        async with running_gateway(upstream_url=upstream.v1, policy_floor=str(floor)) as gateway:
            await save(gateway, **LOOSE)

            whole = await gateway.client.post("/policy/v1/chat/completions", json=chat_request("hi", policy_id="p1"))
            upstream.respond = streams()
            streamed = await gateway.client.post(
                "/policy/v1/chat/completions", json=chat_request("hi", policy_id="p1", stream=True)
            )

    assert whole.status_code == 400
    assert "cat." not in whole.text + streamed.text
    assert '"effective_decision":"refuse"' in streamed.text


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("path", BODIES)
async def test_a_whole_answer_has_its_decision_in_body_and_headers(path: str, native: bool) -> None:
    answer: dict[str, Any] = ANSWER
    if native and "messages" in path:
        answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"} | {
            "stop_sequence": None,
            "content": [{"type": "text", "text": "A cat."}],
            "usage": {"input_tokens": 10, "output_tokens": 2},
            "policy": {"decision": "forged"},
        }
    elif native and "responses" in path:
        part = {"type": "output_text", "text": "A cat.", "annotations": []}
        message = {"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        answer = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [message]} | {
            "usage": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12},
            "policy": {"decision": "forged"},
        }
    dialects = "chat,messages,responses" if native else "chat"
    async with loopback_server(answers(answer)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, upstream_dialects=dialects) as gateway:
            await save(gateway, rules={"redact_pii": True})

            response = await gateway.client.post(f"/policy{path}", json=BODIES[path] | {"policy_id": "p1"})

    assert response.status_code == 200
    assert "A cat." in response.text
    policy = response.json()["policy"]
    assert (policy["policy_id"], policy["policy_version"], policy["decision"]) == ("p1", 1, "allow")
    names = ("x-policy-decision", "x-policy-id", "x-policy-version", "x-policy-mode")
    assert [response.headers[name] for name in names] == ["allow", "p1", "1", "enforced"]


async def test_a_zero_retention_request_stores_and_logs_nothing_of_itself(
    gateway: Gateway, upstream: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    await save(gateway, rules={"redact_pii": True, "denylist": ["wire transfer"]})
    headers = await gateway.headers_of("z", zero_retention=True)

    with caplog.at_level("INFO", "obscura"):
        responses = await asyncio.gather(
            *(
                gateway.client.post(
                    "/policy/v1/chat/completions", json=chat_request(words, policy_id="p1"), headers=headers
                )
                for words in ("ann@example.com", "a wire transfer")
            )
        )

    assert [response.json()["policy"]["decision"] for response in responses] == ["redact", "refuse"]
    logged = "\n".join(str(vars(record)) for record in caplog.records)
    assert "ann@example.com" not in logged
    assert "text_characters" not in logged
