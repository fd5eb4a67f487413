"""Traces: what a loopback collector is sent of real requests, and what it is not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.fake_upstream import CHUNKS, answers, streams
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server

CANARY = "canary-4711"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CHAT = "POST /v1/chat/completions"


async def takes_all(_request: Received, wire: Wire) -> None:
    await wire.answer(200, b"", "application/x-protobuf")


@pytest.fixture
async def collector() -> AsyncIterator[LoopbackServer]:
    async with loopback_server(takes_all) as server:
        yield server


def spans(collector: LoopbackServer) -> list[Span]:
    sent = [ExportTraceServiceRequest.FromString(request.body) for request in collector.received]
    return [
        span
        for one in sent
        for resource in one.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def attributes(span: Span) -> dict[str, object]:
    return {one.key: _value(one.value) for one in span.attributes}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


async def sent_by(collector: LoopbackServer, upstream: LoopbackServer, *calls: object, **settings: Any) -> list[Span]:
    """Make the calls with a gateway that ends after them, and so sends its spans; return these."""
    url = f"{collector.origin}/v1/traces"
    async with running_gateway(upstream_url=upstream.v1, traces_url=url, **settings) as gateway:
        for call in calls:
            assert callable(call)
            await call(gateway)
    return spans(collector)


async def test_a_chat_is_a_trace_with_the_names_of_the_conventions(
    collector: LoopbackServer, upstream: LoopbackServer
) -> None:
    async def chat(gateway: Gateway) -> None:
        body = chat_request(text("What is it?"), image_part(a_data_url(200, 100)), model="vision-1")
        (await gateway.chat(body)).raise_for_status()

    found = {span.name: span for span in await sent_by(collector, upstream, chat, moderation="demo")}

    assert {"admit", "read", "load", "prepare", "moderate", "chat vision-1", CHAT} <= found.keys()
    root, inference = found[CHAT], found["chat vision-1"]
    assert inference.parent_span_id == root.span_id and inference.trace_id == root.trace_id
    assert (root.kind, inference.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert root.start_time_unix_nano <= inference.start_time_unix_nano < inference.end_time_unix_nano
    known = attributes(inference)
    assert known["gen_ai.operation.name"] == "chat"
    assert known["gen_ai.provider.name"] == "openai"
    assert known["gen_ai.request.model"] == "vision-1"
    assert known["gen_ai.request.stream"] is False
    assert known["gen_ai.usage.input_tokens"] and known["gen_ai.usage.output_tokens"]
    assert attributes(root)["http.route"] == "/v1/chat/completions"
    assert attributes(root)["http.response.status_code"] == 200


async def test_no_content_key_query_or_header_is_in_what_was_sent(
    collector: LoopbackServer, upstream: LoopbackServer
) -> None:
    async def chat(gateway: Gateway) -> None:
        keys.append(gateway.key)
        headers = {"x-api-key": "", "tracestate": f"a={CANARY}", "baggage": f"user={CANARY}", "user-agent": CANARY}
        body = chat_request(
            text(CANARY), image_part(a_data_url(90, 80)), model=f"a model {CANARY}", user=CANARY, stream=True
        )
        await gateway.client.post(f"/v1/chat/completions?q={CANARY}", json=body, headers=headers)
        await gateway.client.get(f"/v1/files/{CANARY}")
        await gateway.client.get(f"/{CANARY}")
        await gateway.client.request(CANARY.upper(), "/v1/models")
        await gateway.client.get("/v1/models", headers={"authorization": f"Bearer obs_{CANARY}"})

    async def refused(gateway: Gateway) -> None:
        upstream.respond = answers({"error": {"message": CANARY, "code": CANARY}}, status=400)
        await gateway.chat(chat_request("Hello."))

    keys: list[str] = []
    upstream.respond = streams(*CHUNKS)
    await sent_by(collector, upstream, chat, refused)
    body = b"".join(request.body for request in collector.received)

    assert body and CHAT.encode() in body
    assert CANARY.encode() not in body and CANARY.upper().encode() not in body
    assert keys[0].encode() not in body
    assert b"127.0.0.1" not in body
    assert not any(CANARY in value for request in upstream.received for value in request.headers.values())


@pytest.mark.parametrize(("flags", "is_sent"), [("01", True), ("00", False)])
async def test_the_callers_traceparent_is_the_parent_and_decides(
    collector: LoopbackServer, upstream: LoopbackServer, flags: str, *, is_sent: bool
) -> None:
    async def chat(gateway: Gateway) -> None:
        await gateway.chat(chat_request("Hello."), headers={"traceparent": f"00-{TRACE}-{PARENT}-{flags}"})

    found = [span for span in await sent_by(collector, upstream, chat) if span.name == CHAT]

    assert [(span.trace_id.hex(), span.parent_span_id.hex()) for span in found] == [(TRACE, PARENT)] * is_sent


async def test_a_malformed_traceparent_begins_a_trace(collector: LoopbackServer, upstream: LoopbackServer) -> None:
    async def chat(gateway: Gateway) -> None:
        response = await gateway.chat(chat_request("Hello."), headers={"traceparent": CANARY * 100})
        assert response.status_code == 200

    [root] = [span for span in await sent_by(collector, upstream, chat) if span.name == CHAT]

    assert root.parent_span_id == b""


async def test_the_collectors_headers_are_sent_to_it_alone(collector: LoopbackServer, upstream: LoopbackServer) -> None:
    async def chat(gateway: Gateway) -> None:
        await gateway.chat(chat_request("Hello."))

    await sent_by(collector, upstream, chat, traces_headers="x-tenant=team%20one")

    assert collector.received[0].headers["x-tenant"] == "team one"
    assert "x-tenant" not in upstream.received[0].headers


async def test_a_collector_that_is_gone_or_silent_holds_no_request_up(upstream: LoopbackServer) -> None:
    async def never(_request: Received, _wire: Wire) -> None:
        await asyncio.Event().wait()

    async with loopback_server(never) as silent:
        async with running_gateway(upstream_url=upstream.v1, traces_url=f"{silent.origin}/v1/traces") as gateway:
            async with asyncio.timeout(2):
                responses = [await gateway.chat(chat_request("Hello.")) for _ in range(20)]

    assert {response.status_code for response in responses} == {200}
