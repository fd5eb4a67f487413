"""External checks of a policy: asked before moderation, their changes moderated, failures said."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.fake_upstream import answers, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server
from tests.support.policies import save
from tests.unit.imaging.images import a_plain

CHAT = "/policy/v1/chat/completions"
RED, BLUE = (data_url(a_plain(40, 40, "PNG", colour=colour)) for colour in ((255, 0, 0), (0, 0, 255)))


@asynccontextmanager
async def checked(
    respond: Callable[[Received, Wire], Any], **rules: Any
) -> AsyncIterator[tuple[Gateway, LoopbackServer, LoopbackServer, LoopbackServer]]:
    """A gateway whose policy asks a service; the service, the moderation and the upstream."""
    check = {"name": "guard", **rules.pop("check", {})}
    async with (
        loopback_server(respond) as service,
        loopback_server(answers(verdict(violence=0.1))) as moderation,
        loopback_server(answers()) as upstream,
        running_gateway(
            upstream_url=upstream.v1,
            moderation="openai",
            moderation_url=moderation.v1,
            moderation_key="sk",
            policy_check_allow=(service.origin,),
        ) as gateway,
    ):
        await save(gateway, checks=[{"url": service.origin} | check], **rules)
        yield gateway, service, moderation, upstream


async def ask(gateway: Gateway, *parts: object, **fields: Any) -> httpx.Response:
    return await gateway.client.post(CHAT, json=chat_request(*parts, policy_id="p1", **fields))


async def test_a_service_sees_redacted_texts_and_prepared_images_and_blocks_before_moderation() -> None:
    async with checked(answers({"action": "BLOCKED"}), rules={"redact_pii": True}) as (gateway, service, *asked):
        response = await ask(gateway, text("I am ann@example.com"), image_part(RED))

        assert (response.status_code, response.json()["policy"]["rule"]) == (400, "policy.checks")
        [request] = service.received
        assert request.json()["texts"] == ["I am {EMAIL_1}"]
        assert request.json()["images"] == [RED]
        assert not any(server.received for server in asked)


async def test_what_a_service_changes_is_moderated_and_sent() -> None:
    changed = {"action": "GUARDRAIL_INTERVENED", "texts": ["nice words"], "images": [BLUE]}
    async with checked(answers(changed)) as (gateway, _, moderation, upstream):
        response = await ask(gateway, text("bad words"), image_part(RED))

        assert response.status_code == 200, response.text
        blue, red = (url.partition(",")[2].encode() for url in (BLUE, RED))
        for received in (moderation.received, upstream.received):
            sent = b"".join(request.body for request in received)
            assert b"nice words" in sent
            assert blue in sent
            assert b"bad words" not in sent
            assert red not in sent


@pytest.mark.parametrize(
    "answer",
    [
        {"texts": ["a", "b"]},
        {"images": ["https://example.com/a.png"]},
        {"images": ["data:image/png;base64,AAAA"]},
        {"images": []},
        {"structured_messages": [{"role": "user", "content": "x"}]},
    ],
)
async def test_a_change_that_cannot_be_made_blocks(answer: dict[str, Any]) -> None:
    async with checked(answers({"action": "GUARDRAIL_INTERVENED"} | answer)) as (gateway, _, _, upstream):
        response = await ask(gateway, text("words"), image_part(RED))

        blocks = answer != {"images": []}
        assert (response.status_code == 400) is blocks
        assert bool(upstream.received) is not blocks


async def test_what_a_service_changes_in_one_of_two_equal_texts_blocks() -> None:
    async with checked(answers({"texts": ["same", "other"]})) as (gateway, _, _, upstream):
        response = await ask(gateway, text("same"), text("same"))

        assert (response.status_code, response.json()["policy"]["rule"]) == (400, "policy.checks")
        assert not upstream.received


@pytest.mark.parametrize(("on_failure", "status"), [("closed", 400), ("open", 200)])
async def test_a_failure_is_closed_or_open_and_said_in_header_and_event(
    on_failure: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def hangs(_: Received, __: Wire) -> None:
        await asyncio.sleep(5)

    caplog.set_level(logging.INFO, logger="obscura")
    async with checked(hangs, check={"timeout_ms": 50, "on_failure": on_failure}) as (gateway, *_):
        response = await ask(gateway, "hi")

    assert response.status_code == status
    assert response.headers["x-policy-checks-failed"] == f"guard={on_failure}"
    [line] = [vars(one)["fields"]["event"] for one in caplog.records if one.message == "policy_event"]
    [failed] = json.loads(bytes(line))["features"]["checks_failed"]
    assert f"failed {on_failure}" in failed


async def test_a_shadow_asks_and_changes_nothing() -> None:
    changed = {"action": "BLOCKED", "texts": ["other"]}
    shadow = {"shadow": {"enabled": True}}
    async with checked(answers(changed), rollout=shadow) as (gateway, service, _, upstream):
        response = await ask(gateway, "hi")

        policy = response.json()["policy"]
        assert (policy["decision"], policy["effective_decision"]) == ("refuse", "allow")
        assert len(service.received) == 1
        assert b"hi" in upstream.received[0].body


async def test_an_inspection_shows_what_a_service_decides_and_leaves_of_the_images() -> None:
    changed = {"action": "GUARDRAIL_INTERVENED", "images": [BLUE]}
    async with checked(answers({"action": "BLOCKED"})) as (gateway, service, _, upstream):
        blocked = await ask_inspection(gateway, text("hi"))
        assert (blocked.status_code, blocked.json()["policy"]["rule"]) == (200, "policy.checks")
        assert len(service.received) == 1
        assert not upstream.received
    async with checked(answers(changed)) as (gateway, _, moderation, _):
        response = await ask_inspection(gateway, image_part(RED), include=["images"])
        [image] = response.json()["images"]
        assert image["prepared"]["data_url"] == BLUE
        assert any(BLUE.encode() in one.body for one in moderation.received)
    async with checked(answers({}, status=500), check={"on_failure": "open"}) as (gateway, *_):
        failed = await ask_inspection(gateway, text("hi"))
        assert failed.headers["x-policy-checks-failed"] == "guard=open"


async def ask_inspection(gateway: Gateway, *parts: object, **fields: Any) -> httpx.Response:
    return await gateway.client.post("/v1/inspect", json=chat_request(*parts, policy_id="p1", **fields))


async def test_another_proxy_gets_what_a_service_says_of_its_request_and_of_its_answer() -> None:
    async with checked(answers({"action": "BLOCKED"}), check={"direction": "any"}) as (gateway, service, *_):
        for kind in ("request", "response"):
            body = {"input_type": kind, "texts": ["hi"], "policy_id": "p1"}
            response = await gateway.client.post("/beta/litellm_basic_guardrail_api", json=body)
            assert response.json()["action"] == "BLOCKED", kind

        assert [one.json()["input_type"] for one in service.received] == ["request", "response"]
