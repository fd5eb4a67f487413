"""External checks: the wire of the generic guardrail API, time limits, hostile services and addresses."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from obscura.policy.document import ExternalCheck
from obscura.policy.facts import CheckResult, RequestFacts
from obscura.policy_checks.generic_guardrail import PATH, GenericGuardrailClient
from tests.security.image_urls.hosts import FakeResolver, LoopbackNetwork
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server

FACTS = RequestFacts(("hello", "ünïcode"), model="demo", project="shop", user="user-1")
IMAGE = "data:image/jpeg;base64,AAAA"
MEMBERS = {
    "input_type", "litellm_call_id", "litellm_trace_id", "litellm_version", "model", "texts", "images", "tools",
    "tool_calls", "structured_messages", "request_data", "request_headers", "additional_provider_specific_params",
}  # fmt: skip


def answering(body: Any, status: int = 200, **headers: str) -> Callable:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def respond(_: Received, wire: Wire) -> None:
        await wire.answer(status, content, **headers)

    return respond


async def asked(respond: Callable, path: str = "", **parts: Any) -> tuple[CheckResult, LoopbackServer]:
    async with loopback_server(respond) as server:
        client = GenericGuardrailClient([server.origin])
        check = ExternalCheck(name="guard", url=server.origin + path, **parts)
        result = await client.ask(check, FACTS, [IMAGE])
        await client.aclose()
    return result, server


@pytest.mark.parametrize("path", ["", "/", "/base", f"/base{PATH}", f"{PATH}/"])
async def test_every_member_is_sent_to_the_path_of_the_contract(path: str) -> None:
    result, server = await asked(answering({"action": "NONE"}), path)

    (request,) = server.received
    body = request.json()
    assert result == CheckResult("guard")
    assert (request.method, request.path) == ("POST", path.rstrip("/").removesuffix(PATH) + PATH)
    assert request.headers["content-type"] == "application/json"
    assert body.keys() == MEMBERS
    assert (body["input_type"], body["texts"], body["images"]) == ("request", list(FACTS.texts), [IMAGE])
    assert body["request_data"] == {"user_api_key_team_id": "shop", "user_api_key_end_user_id": "user-1"}
    assert body["tools"] is body["structured_messages"] is None


async def test_a_query_stays_behind_the_path_and_output_is_a_response() -> None:
    _, server = await asked(answering({}), "/base?tenant=1", direction="output")

    assert server.received[0].path == f"/base{PATH}?tenant=1"
    assert server.received[0].json()["input_type"] == "response"


@pytest.mark.parametrize(
    ("answer", "blocked", "changed"),
    [
        ({"action": "BLOCKED", "blocked_reason": "canary"}, True, False),
        ({"action": "NONE"}, False, False),
        ({}, False, False),
        ({"action": "blocked"}, False, False),
        ({"action": "GUARDRAIL_INTERVENED", "texts": ["hello", "ünïcode"], "images": [IMAGE]}, False, False),
        ({"action": "GUARDRAIL_INTERVENED", "texts": ["hello", 7]}, True, True),
        ({"action": "NONE", "texts": ["hello"]}, True, True),
        ({"action": "NONE", "images": [IMAGE, IMAGE]}, True, True),
        ({"action": "NONE", "tools": [{"type": "function"}]}, True, True),
        ({"action": "NONE", "structured_messages": [{"role": "user"}]}, True, True),
        ({"action": "NONE", "texts": [], "images": None, "unknown": 1}, False, False),
    ],
)
async def test_what_is_blocked_and_what_the_service_wants_changed(answer: dict, blocked: bool, changed: bool) -> None:
    result, _ = await asked(answering(answer))

    assert result == CheckResult("guard", blocked, changed)


async def test_changed_texts_and_images_come_back() -> None:
    texts, images = ["hello", "[NAME]"], ["data:image/png;base64,AA"]
    result, _ = await asked(answering({"action": "GUARDRAIL_INTERVENED", "texts": texts, "images": images}))

    assert result == CheckResult("guard", changed=True, texts=tuple(texts), images=tuple(images))


@pytest.mark.parametrize(
    "body", [b"", b"canary", b"[]", b'{"action": 1}', b'{"texts": "canary"}', b"\xff", b"[" * 100_000]
)
async def test_an_answer_that_cannot_be_read_is_a_failure(body: bytes) -> None:
    result, _ = await asked(answering(body))

    assert result == CheckResult("guard", failed="no valid answer")


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 500, 503])
async def test_any_status_but_200_is_a_failure_without_a_second_attempt(status: int) -> None:
    result, server = await asked(answering({"action": "NONE"}, status, location="/elsewhere"))

    assert result == CheckResult("guard", failed=f"status {status}")
    assert len(server.received) == 1


async def test_a_service_that_hangs_is_left_after_the_checks_own_time() -> None:
    async def hang(_: Received, __: Wire) -> None:
        await asyncio.Event().wait()

    async def drip(_: Received, wire: Wire) -> None:
        await wire.head(200, transfer_encoding="chunked")
        while True:
            await wire.chunk(b" ")
            await asyncio.sleep(0)

    for respond in (hang, drip):
        result, _ = await asked(respond, timeout_ms=100)
        assert result == CheckResult("guard", failed="no answer within 100 ms")


async def test_a_connection_that_breaks_is_tried_once_more() -> None:
    answers = [True, False]

    async def break_first(_: Received, wire: Wire) -> None:
        if answers.pop(0):
            wire.drop()
        else:
            await wire.answer(200, b'{"action":"BLOCKED"}')

    result, server = await asked(break_first)
    assert (result, len(server.received)) == (CheckResult("guard", blocked=True), 2)

    async def break_always(_: Received, wire: Wire) -> None:
        wire.drop()

    result, server = await asked(break_always)
    assert (result, len(server.received)) == (CheckResult("guard", failed="cannot be reached"), 2)


async def test_an_answer_over_its_bound_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obscura.policy_checks.generic_guardrail.MAX_ANSWER_BYTES", 1000)

    result, _ = await asked(answering({"texts": ["x" * 1000]}))

    assert result == CheckResult("guard", failed="an answer of over 1000 bytes")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data", "https://127.0.0.1", "https://[::1]", "https://2130706433",
        "https://10.0.0.1", "https://guard.internal", "https://localhost", "https://guard.example:8443",
        "http://guard.example", "https://guard.example\\@127.0.0.1",
    ],
)  # fmt: skip
async def test_an_address_that_is_not_allowed_is_never_connected_to(url: str) -> None:
    network = LoopbackNetwork()
    client = GenericGuardrailClient(resolve=FakeResolver(["93.184.215.14"]), network=network)

    result = await client.ask(ExternalCheck.model_construct(name="guard", url=url, timeout_ms=2000), FACTS, [])

    await client.aclose()
    assert result == CheckResult("guard", failed="its address is not allowed")
    assert network.connected_to == []


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["93.184.215.14", "169.254.169.254"], ["::ffff:127.0.0.1"]])
async def test_a_name_with_a_private_address_is_never_connected_to(addresses: list[str]) -> None:
    network = LoopbackNetwork()
    client = GenericGuardrailClient(resolve=FakeResolver(addresses), network=network)

    result = await client.ask(ExternalCheck(name="guard", url="https://guard.example"), FACTS, [])

    await client.aclose()
    assert result == CheckResult("guard", failed="its address is not allowed")
    assert network.connected_to == []


async def test_an_allowed_origin_opens_no_other() -> None:
    network = LoopbackNetwork()
    client = GenericGuardrailClient(["http://127.0.0.1:9000"], network=network)

    result = await client.ask(ExternalCheck(name="guard", url="http://127.0.0.1:9001"), FACTS, [])

    await client.aclose()
    assert result.failed == "its address is not allowed"
    assert network.connected_to == []
