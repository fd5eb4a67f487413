"""Requests under a policy: which one holds, what the model gets, and what the caller gets."""

import json
from typing import Any

import httpx
import pytest

from tests.support.fake_upstream import ANSWER, answers, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server
from tests.support.policies import save
from tests.unit.imaging.images import a_plain

CHAT = "/policy/v1/chat/completions"
RED = data_url(a_plain(40, 40, "PNG", colour=(255, 0, 0)))
BODIES: dict[str, dict[str, Any]] = {
    "/policy/v1/chat/completions": chat_request("hi"),
    "/policy/chat/completions": chat_request("hi"),
    "/policy/v1/messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "/policy/messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "/policy/v1/responses": {"model": "m", "input": "hi"},
    "/policy/responses": {"model": "m", "input": "hi"},
}


async def ask(gateway: Gateway, content: object = "hi", path: str = CHAT, **fields: Any) -> httpx.Response:
    parts = content if isinstance(content, list) else [content]
    return await gateway.client.post(path, json=chat_request(*parts, **fields))


@pytest.mark.parametrize("path", BODIES)
async def test_without_a_policy_the_floor_alone_holds(gateway: Gateway, path: str) -> None:
    response = await gateway.client.post(path, json=BODIES[path])

    assert response.status_code == 200
    policy = response.json()["policy"]
    assert (policy["policy_id"], policy["decision"], policy["enforced"]) == (None, "allow", False)
    assert response.headers["x-policy-decision"] == "allow"
    assert "x-policy-id" not in response.headers


@pytest.mark.parametrize("path", BODIES)
async def test_a_block_is_an_error_of_the_dialect_with_the_decision_beside_it(
    gateway: Gateway, upstream: LoopbackServer, path: str
) -> None:
    await save(gateway, rules={"denylist": ["hi"]})

    response = await gateway.client.post(path, json=BODIES[path] | {"policy_id": "p1"})

    assert response.status_code == 400
    body = response.json()
    assert body["error"]["code"] == "policy_blocked"
    assert ("request_id" in body) == ("messages" in path)
    assert body["policy"]["decision"] == "refuse"
    assert body["policy"]["denylist_hits"] == ["hi"]
    names = ("x-policy-decision", "x-policy-id", "x-policy-version", "x-policy-mode")
    assert [response.headers[name] for name in names] == ["refuse", "p1", "1", "enforced"]
    assert not upstream.received


async def test_no_policy_field_reaches_an_upstream(gateway: Gateway, upstream: LoopbackServer) -> None:
    await save(gateway)
    fields = dict.fromkeys(("policy_user", "policy_user_id", "policy_project_id", "policy_target"), "x")

    for path in (CHAT, "/v1/chat/completions"):
        response = await ask(gateway, path=path, policy_id="p1", **fields)
        assert response.status_code == 200

    for request in upstream.received:
        assert "policy" not in request.body.decode()


async def test_on_v1_the_fields_change_nothing(gateway: Gateway) -> None:
    await save(gateway, rules={"denylist": ["hi"]})

    response = await ask(gateway, path="/v1/chat/completions", policy_id=["p1", 1], policy_user=7)

    assert (response.status_code, response.json()) == (200, ANSWER)
    assert not [name for name in response.headers if name.startswith("x-policy")]


@pytest.mark.parametrize("reference", ["unknown", "p1@9", "draft"])
async def test_an_unknown_policy_is_a_404(gateway: Gateway, reference: str) -> None:
    await save(gateway)
    await save(gateway, "draft", draft=True)

    response = await ask(gateway, policy_id=reference)

    assert (response.status_code, response.json()["error"]["code"]) == (404, "policy_not_found")


async def test_a_project_that_may_not_use_a_policy_gets_a_403(gateway: Gateway) -> None:
    await save(gateway, org_controls={"project_keys": ["another"]})

    response = await ask(gateway, policy_id="p1", policy_project_id="another")

    assert (response.status_code, response.json()["error"]["code"]) == (403, "permission_denied")


async def test_a_projects_policy_holds_without_an_id(gateway: Gateway) -> None:
    await save(gateway, rules={"denylist": ["hi"]})
    assert gateway.stores is not None
    await gateway.stores.open_policies().versions.assign_project("tests", "p1")

    response = await ask(gateway)

    assert (response.status_code, response.json()["policy"]["policy_id"]) == (400, "p1")


async def test_a_key_needs_the_scope_policy_and_no_other(gateway: Gateway) -> None:
    statuses = []
    for scope in ("policy", "chat"):
        headers = await gateway.headers_of("tests", scopes=frozenset({scope}))
        response = await gateway.client.post(CHAT, json=chat_request("hi"), headers=headers)
        statuses.append(response.status_code)

    assert statuses == [200, 403]


async def test_only_post_is_served(gateway: Gateway) -> None:
    response = await gateway.client.get(CHAT)

    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        ({"max_count": 0}, "policy.images.max_count"),
        ({"allowed_formats": ["jpeg"]}, "policy.images.allowed_formats"),
        ({"min_side_px": 41}, "policy.images.min_side_px"),
        ({"require_file_id": True}, "policy.images.require_file_id"),
        ({"blocked_hashes": ["sha256:" + "0" * 64], "max_tokens": 1}, "policy.images.max_tokens"),
    ],
)
async def test_an_image_is_decided_on_by_its_facts(gateway: Gateway, rules: dict[str, Any], rule: str) -> None:
    await save(gateway, images=rules)

    response = await ask(gateway, [text("hi"), image_part(RED)], policy_id="p1")

    assert response.status_code == 400
    assert response.json()["policy"]["rule"] == rule
    assert response.json()["error"]["param"] == "messages[0].content[1].image_url.url"


async def test_a_plain_image_passes_every_rule_on_what_its_bytes_say(gateway: Gateway) -> None:
    await save(gateway, images={"refuse_animated": True, "refuse_alpha": True, "refuse_metadata": True})

    response = await ask(gateway, [text("hi"), image_part(RED)], policy_id="p1")

    assert response.status_code == 200
    assert response.json()["policy"]["coverage"]["images"] == {"checked": 1, "total": 1}


async def test_what_the_gateways_own_moderation_blocks_no_policy_lets_through() -> None:
    async with running_gateway(moderation="demo") as gateway:
        await save(gateway)

        response = await ask(gateway, "OBSCURA-BLOCK-ME", policy_id="p1", model="obscura-demo")

        assert response.status_code == 400
        body = response.json()
        assert body["error"]["code"] == "policy_blocked"
        assert body["policy"]["reason_code"] == "MODERATION_BLOCKED"
        assert body["error"]["category"] == "demo/test"


async def test_a_threshold_is_held_against_fresh_scores_of_the_redacted_text() -> None:
    async with loopback_server(answers(verdict(violence=0.4))) as moderation, loopback_server(answers()) as upstream:
        async with running_gateway(
            upstream_url=upstream.v1, moderation="openai", moderation_url=moderation.v1, moderation_key="sk"
        ) as gateway:
            thresholds = [{"category": "violence", "score": 0.3, "action": "flag", "direction": "input"}]
            await save(gateway, rules={"thresholds": thresholds, "redact_pii": True})

            responses = [await ask(gateway, "ann@example.com", policy_id="p1") for _ in range(2)]

            assert [response.json()["policy"]["triggered_categories"] for response in responses] == [["violence"]] * 2
            assert len(moderation.received) == 2
            for request in (*moderation.received, *upstream.received):
                assert b"ann@example.com" not in request.body
                assert b"{EMAIL_1}" in request.body


async def test_moderation_that_fails_fails_closed() -> None:
    async with loopback_server(answers({}, 500)) as moderation, loopback_server(answers()) as upstream:
        async with running_gateway(
            upstream_url=upstream.v1, moderation="openai", moderation_url=moderation.v1, moderation_key="sk"
        ) as gateway:
            response = await ask(gateway)

            assert (response.status_code, response.json()["error"]["code"]) == (503, "moderation_unavailable")
            assert not upstream.received


async def test_a_redacted_value_comes_back_in_the_answer(gateway: Gateway, upstream: LoopbackServer) -> None:
    async def echo(request: Received, wire: Wire) -> None:
        content = request.json()["messages"][0]["content"]
        choice = ANSWER["choices"][0] | {"message": {"role": "assistant", "content": f"To {content}"}}
        await answers(ANSWER | {"choices": [choice]})(request, wire)

    upstream.respond = echo
    await save(gateway, rules={"redact_pii": True})

    response = await ask(gateway, "ann@example.com", policy_id="p1")

    assert upstream.received[0].json()["messages"][0]["content"] == "{EMAIL_1}"
    assert response.json()["choices"][0]["message"]["content"] == "To ann@example.com"
    assert response.json()["policy"]["decision"] == "redact"


@pytest.mark.parametrize(("action", "decision"), [("rewrite", "rewrite"), ("summarize", "summary")])
@pytest.mark.parametrize("path", BODIES)
async def test_a_rewrite_or_a_summary_is_an_answer_of_the_dialect(
    gateway: Gateway, upstream: LoopbackServer, path: str, action: str, decision: str
) -> None:
    await save(gateway, rules={"denylist": ["hi"], "enforcement_action": action, "response_pattern": "INSTEAD"})

    whole = await gateway.client.post(path, json=BODIES[path] | {"policy_id": "p1"})
    streamed = await gateway.client.post(path, json=BODIES[path] | {"policy_id": "p1", "stream": True})

    assert whole.status_code == streamed.status_code == 200
    assert whole.json()["policy"]["decision"] == decision
    assert "INSTEAD" in whole.text
    assert "INSTEAD" in streamed.text
    frames = [json.loads(line[5:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    assert frames
    assert all(frame["policy"]["decision"] == decision for frame in frames)
    assert not upstream.received


async def test_a_shadow_blocks_nothing_and_says_what_it_would_have_done(gateway: Gateway) -> None:
    await save(gateway, rules={"denylist": ["hi"]}, rollout={"shadow": {"enabled": True}})

    policy = (await ask(gateway, policy_id="p1")).json()["policy"]

    assert (policy["decision"], policy["effective_decision"], policy["enforced"]) == ("refuse", "allow", False)


async def test_a_quota_is_counted_by_user_and_settled_by_the_usage(gateway: Gateway) -> None:
    await save(gateway, org_controls={"user_quota": {"requests": 2, "tokens": 20}})

    async def status(user: str) -> int:
        headers = {"x-policy-user": user}
        response = await gateway.client.post(CHAT, json=chat_request("hi", policy_id="p1"), headers=headers)
        if response.status_code == 429:
            assert response.json()["error"]["code"] == "quota_exceeded"
            assert int(response.headers["retry-after"]) > 0
            assert response.json()["policy"]["reason_code"] == "USER_QUOTA_EXCEEDED"
        return response.status_code

    assert [await status(user) for user in ("ann", "ann", "ann", "bob")] == [200, 200, 429, 200]


@pytest.mark.parametrize("name", ["POLICY_ID", "Policy_Id", "\uff50olicy_id", "Policy"])
async def test_a_misspelled_policy_field_neither_loses_the_policy_nor_reaches_an_upstream(
    gateway: Gateway, upstream: LoopbackServer, name: str
) -> None:
    await save(gateway, rules={"denylist": ["hi"]})

    refused = await ask(gateway, **{name: "p1"})
    served = await ask(gateway, path="/v1/chat/completions", **{name: "p1"})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, name)
    assert served.status_code == 200
    assert [request.json().keys() & {name} for request in upstream.received] == [set()]
