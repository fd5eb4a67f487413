"""What is stored is the caller's content again: moderated, under the policy, within the limits, of its key alone."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from obscura.auth.base import KeyScope
from obscura.moderation.demo import MARKER_WORD
from obscura.pipeline.stored_turn import MAX_REFERENCES
from tests.support.fake_upstream import ANSWER, answers, in_turn, streams
from tests.support.gateway import Gateway, running_gateway
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import LoopbackServer, Respond, loopback_server
from tests.support.policies import save
from tests.support.stores import sqlite_file
from tests.unit.dialects.responses.requests import a_message, image, text

TEST_IMAGE = Path(__file__).parents[3] / "docs" / "moderation-test.png"
BAD_IMAGE = a_message({"type": "input_image", "image_url": "data:image/png;base64,AAAA"})
SPEAKS_BOTH = frozenset({"chat", "responses"})
NATIVE = {"id": "resp_u", "object": "response", "status": "completed", "store": True, "output": []}
Served = tuple[Gateway, LoopbackServer]


@asynccontextmanager
async def serving(folder: Path, respond: Respond | None = None, **settings: Any) -> AsyncIterator[Served]:
    async with (
        sqlite_file(folder) as stores,
        loopback_server(respond or answers()) as upstream,
        running_gateway(
            stores=stores,
            folder=folder,
            upstream_url=upstream.v1,
            **({"store_responses": True, "cache_verdicts": False} | settings),
        ) as gateway,
    ):
        yield gateway, upstream


async def ask(gateway: Gateway, input: object, path: str = "/v1/responses", **fields: Any) -> dict[str, Any]:
    headers = fields.pop("headers", {})
    body = {"model": "m", "input": input, **fields}
    response: dict[str, Any] = (await gateway.client.post(path, json=body, headers=headers)).json()
    return response


def refused(response: dict[str, Any]) -> tuple[str, str | None]:
    return response["error"]["code"], response["error"]["param"]


def an_answer(words: str) -> dict[str, Any]:
    [choice] = ANSWER["choices"]
    return ANSWER | {"choices": [choice | {"message": {"role": "assistant", "content": words}}]}


async def test_a_stored_image_is_moderated_again(tmp_path: Path) -> None:
    url = f"data:image/png;base64,{base64.b64encode(TEST_IMAGE.read_bytes()).decode()}"
    async with serving(tmp_path, moderation="off") as (gateway, _):
        first = await ask(gateway, [a_message(image(url))])
    async with serving(tmp_path, moderation="demo") as (gateway, upstream):
        headers = await gateway.headers_of("tests")
        blocked = await ask(gateway, "And?", previous_response_id=first["id"], headers=headers)

    assert refused(blocked) == ("moderation_blocked", "previous_response_id")
    assert upstream.received == []


@pytest.mark.parametrize("by", ["previous", "reference"])
async def test_an_answer_that_is_stored_is_moderated_as_a_callers_text(tmp_path: Path, by: str) -> None:
    async with serving(tmp_path, answers(an_answer(f"so {MARKER_WORD}")), moderation="demo") as (gateway, upstream):
        first = await ask(gateway, "Hi")
        assert first["store"] is True
        if by == "previous":
            blocked = await ask(gateway, "And?", previous_response_id=first["id"])
        else:
            item = {"type": "item_reference", "id": first["output"][0]["id"]}
            blocked = await ask(gateway, [a_message(text("And?")), item])

    assert blocked["error"]["code"] == "moderation_blocked"
    assert len(upstream.received) == 1


async def test_a_key_without_files_gets_none_by_naming_it_in_a_stored_turn(tmp_path: Path) -> None:
    async with serving(tmp_path, answers(NATIVE), upstream_dialects=SPEAKS_BOTH, moderation="off") as (
        gateway,
        upstream,
    ):
        stored = await gateway.client.post(
            "/v1/files", files={"file": ("a.png", TEST_IMAGE.read_bytes())}, data={"purpose": "vision"}
        )
        file_id = stored.json()["id"]
        headers = await gateway.headers_of("tests", scopes=frozenset({KeyScope.RESPONSES}))
        named = a_message({**text("x"), "file_id": file_id})
        first = await ask(gateway, [named], headers=headers)
        assert first["store"] is True
        own = a_message({"type": "input_image", "file_id": file_id})
        second = await ask(gateway, [own], previous_response_id=first["id"], headers=headers)

    assert refused(second) == ("permission_denied", "input[0].content[0].file_id")
    assert len(upstream.received) == 1


async def test_many_references_to_one_long_item_are_refused_before_they_are_written(tmp_path: Path) -> None:
    long = answers(an_answer("x" * 100_000))
    async with serving(tmp_path, long, max_body_bytes=1_000_000, moderation="off") as (gateway, upstream):
        first = await ask(gateway, "Hi")
        reference = {"type": "item_reference", "id": first["output"][0]["id"]}
        too_large = await ask(gateway, [reference] * 12)
        too_many = await ask(gateway, [reference] * (MAX_REFERENCES + 1))

    assert too_large["error"]["code"] == "request_too_large"
    assert refused(too_many) == ("too_many_items", "input")
    assert len(upstream.received) == 1


async def test_the_upstreams_own_conversation_is_not_stored_in_part(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"upstream_dialects": SPEAKS_BOTH, "upstream_state": "allow", "moderation": "off"}
    async with serving(tmp_path, answers(NATIVE), **settings) as (gateway, upstream):
        for fields in ({"previous_response_id": "resp_of_the_upstream"}, {"conversation": "conv_1"}):
            await ask(gateway, "And?", **fields)
        missing = await gateway.client.get("/v1/responses/resp_u")

    bodies = [request.json() for request in upstream.received]
    assert bodies[0]["previous_response_id"] == "resp_of_the_upstream"
    assert [body.get("store") for body in bodies] == [None, None]
    assert missing.json()["error"]["code"] == "response_not_found"


async def test_a_policy_holds_for_the_turns_that_are_stored(tmp_path: Path) -> None:
    async with serving(tmp_path, moderation="off") as (gateway, upstream):
        await save(gateway, rules={"denylist": ["forbidden"]})
        first = await ask(gateway, "forbidden")
        again: dict[str, Any] = {"previous_response_id": first["id"], "policy_id": "p1"}
        blocked = await ask(gateway, "And?", "/policy/v1/responses", **again)
        free = await ask(gateway, "And?", "/policy/v1/responses", previous_response_id=first["id"])

    assert blocked["error"]["code"] == "policy_blocked"
    assert free["status"] == "completed"
    assert len(upstream.received[1].json()["messages"]) == 3


async def test_answers_under_a_policy_are_not_stored(tmp_path: Path) -> None:
    async with serving(tmp_path, moderation="off") as (gateway, _):
        made = await ask(gateway, "Hi", "/policy/v1/responses")
        missing = await ask(gateway, "And?", "/policy/v1/responses", previous_response_id=made["id"])
        asked = await ask(gateway, "Hi", "/policy/v1/responses", store=True)
        files = (await gateway.client.get("/v1/files")).json()["data"]

    assert made["store"] is False
    assert refused(missing) == ("response_not_found", "previous_response_id")
    assert refused(asked) == ("unsupported_operation", "store")
    assert files == []


@pytest.mark.parametrize("path", ["/v1/responses", "/policy/v1/responses", "/v1/inspect"])
async def test_errors_have_the_path_of_the_callers_own_body(tmp_path: Path, path: str) -> None:
    dialect = {"x-obscura-dialect": "responses"}
    async with serving(tmp_path, moderation="off") as (gateway, _):
        first = await ask(gateway, "Hi")
        of_first = {"previous_response_id": first["id"]}
        whole = await ask(gateway, [BAD_IMAGE], path, headers=dialect, **of_first)
        dry = await ask(gateway, [BAD_IMAGE], path, headers=dialect | {"x-obscura-dry-run": "true"}, **of_first)

    assert [whole["error"]["param"], dry["error"]["param"]] == ["input[0].content[0].image_url"] * 2


async def test_a_turn_whose_body_was_too_long_is_refused_with_the_limit(tmp_path: Path) -> None:
    respond = in_turn(answers(an_answer("x" * 60_000)), answers())
    async with serving(tmp_path, respond, max_body_bytes=100_000, moderation="off") as (gateway, _):
        first = await ask(gateway, "y" * 50_000)
        second = await ask(gateway, "And?", previous_response_id=first["id"])

    assert second["error"]["code"] == "request_too_large"
    assert "100,000" in second["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_of_a_zero_retention_turn_nothing_is_on_the_disk(tmp_path: Path, stream: bool) -> None:
    canary = "canary-stored-51f0"
    async with serving(tmp_path, streams() if stream else None, moderation="off") as (gateway, upstream):
        headers = await gateway.headers_of("tests", zero_retention=True)
        body = {"model": "m", "input": [a_message(text(canary), image(a_data_url(60, 40)))], "stream": stream}
        answer = await gateway.client.post("/v1/responses", json=body, headers=headers)
        files = (await gateway.client.get("/v1/files")).json()["data"]
        written = [path for path in tmp_path.rglob("*") if path.is_file() and canary.encode() in path.read_bytes()]

    assert answer.status_code == 200
    assert '"store":false' in answer.text.replace(" ", "")
    assert (files, written, len(upstream.received)) == ([], [], 1)


@pytest.mark.parametrize(("field", "value"), [("input", 5), ("input", {}), ("previous_response_id", 5)])
async def test_what_stands_beside_a_stored_turn_is_checked(tmp_path: Path, field: str, value: object) -> None:
    async with serving(tmp_path, moderation="off") as (gateway, upstream):
        first = await ask(gateway, "Hi")
        malformed = await ask(gateway, **({"input": "And?", "previous_response_id": first["id"]} | {field: value}))

    assert refused(malformed) == ("invalid_request", field)
    assert len(upstream.received) == 1
