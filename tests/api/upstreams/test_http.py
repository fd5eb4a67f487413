"""The upstream over HTTP: timeouts, retries, what goes out, and which errors its failures become."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import httpx
import pytest

from obscura.dialects.base import UpstreamBody
from obscura.dialects.chat.events import PASSTHROUGH
from obscura.errors import RateLimitExceeded, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from obscura.httpclient.transport import FastTransport
from obscura.upstreams.base import ModelListing, UpstreamRequest
from obscura.upstreams.http import ClientTransport, HttpUpstream, UpstreamTimeouts
from obscura.upstreams.openai import OpenAIUpstream
from obscura.upstreams.registry import UPSTREAM_KINDS, default_kind, load_kind
from tests.support.fake_upstream import ANSWER, CHUNKS, answers, hangs_up, in_turn, stays_silent, streams
from tests.support.loopback_server import Received, Wire, loopback_server

SHORT_TIMEOUTS = UpstreamTimeouts(connect_s=1, first_byte_s=0.2, between_chunks_s=0.2)


def a_body(dialect: str = "chat", *, streamed: bool = False, counts_tokens: bool = False) -> UpstreamBody:
    return UpstreamBody(dialect, b'{"model":"m"}', streamed, PASSTHROUGH, counts_tokens)


async def received_of(upstream: HttpUpstream) -> list[bytes]:
    """Send a streamed request and read its chunks to the end."""
    response = await upstream.send(a_body(streamed=True))
    assert not isinstance(response, bytes)
    try:
        return [chunk async for chunk in response.chunks]
    finally:
        await response.aclose()


@asynccontextmanager
async def upstream_at(
    base_url: str,
    timeouts: UpstreamTimeouts | None = None,
    key: str | None = "sk-operator",
    kind: str = "openai",
    retries: int = 0,
) -> AsyncIterator[HttpUpstream]:
    async with FastTransport() as transport:
        yield HttpUpstream(transport, base_url, load_kind(kind)(key), timeouts, retries)


async def test_a_silent_upstream_times_out_at_the_first_byte() -> None:
    async with loopback_server(stays_silent) as server, upstream_at(server.v1, SHORT_TIMEOUTS) as upstream:
        async with asyncio.timeout(2):
            with pytest.raises(UpstreamTimeout, match=r"0\.2 s") as raised:
                await upstream.send(a_body())

        await server.received[0].caller_left.wait()
        assert (raised.value.status, raised.value.code) == (504, "upstream_timeout")


async def test_an_upstream_that_sends_a_head_and_no_more_times_out() -> None:
    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        await asyncio.Event().wait()

    async with (
        loopback_server(respond) as server,
        upstream_at(server.v1, SHORT_TIMEOUTS) as upstream,
        asyncio.timeout(2),
    ):
        with pytest.raises(UpstreamTimeout):
            await received_of(upstream)


async def test_silence_in_mid_stream_times_out_after_the_chunks_that_came() -> None:
    async with (
        loopback_server(streams(CHUNKS[0], then="stays silent")) as server,
        upstream_at(server.v1, SHORT_TIMEOUTS) as upstream,
        asyncio.timeout(2),
    ):
        response = await upstream.send(a_body(streamed=True))
        seen = []
        with pytest.raises(UpstreamTimeout):
            async for chunk in response.chunks:
                seen += [chunk]
        await response.aclose()

        assert seen == [CHUNKS[0]]
        await server.received[0].caller_left.wait()


async def test_a_stream_longer_than_any_timeout_is_read_to_its_end() -> None:
    moves = asyncio.Semaphore(0)

    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        for _ in range(6):
            await moves.acquire()
            await wire.chunk(CHUNKS[1])
        await wire.chunk(b"")

    timeouts = UpstreamTimeouts(first_byte_s=0.5, between_chunks_s=0.5)
    async with loopback_server(respond) as server, upstream_at(server.v1, timeouts) as upstream:
        began = asyncio.get_running_loop().time()
        response = await upstream.send(a_body(streamed=True))
        asyncio.get_running_loop().call_later(0.2, moves.release)
        async for chunk in response.chunks:
            assert chunk == CHUNKS[1]
            asyncio.get_running_loop().call_later(0.2, moves.release)
        await response.aclose()

        assert asyncio.get_running_loop().time() - began > 1


async def test_a_stream_that_breaks_off_is_an_upstream_error() -> None:
    async with loopback_server(streams(CHUNKS[0], then="breaks")) as server, upstream_at(server.v1) as upstream:
        with pytest.raises(UpstreamError, match="middle"):
            await received_of(upstream)


async def test_an_upstream_that_closes_the_connection_is_an_upstream_error() -> None:
    async with loopback_server(hangs_up) as server, upstream_at(server.v1) as upstream:
        with pytest.raises(UpstreamError):
            await upstream.send(a_body())

        assert len(server.received) == 1


async def test_a_connection_that_was_stale_costs_one_quick_request_more() -> None:
    async with loopback_server(in_turn(answers(), hangs_up, answers())) as server, upstream_at(server.v1) as upstream:
        for _ in range(2):
            assert await upstream.send(a_body()) == json.dumps(ANSWER).encode()

        assert len(server.received) == 3


async def test_a_connection_that_was_stale_is_replaced_once() -> None:
    async with loopback_server(in_turn(answers(), hangs_up)) as server, upstream_at(server.v1) as upstream:
        await upstream.send(a_body())
        with pytest.raises(UpstreamError):
            await upstream.send(a_body())

        assert len(server.received) == 3


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("retries", "requests"), [(0, 1), (1, 2)])
async def test_an_upstream_that_is_busy_is_asked_again_by_choice_alone(
    status: int, retries: int, requests: int
) -> None:
    async with loopback_server(answers({}, status, retry_after="0")) as server:
        async with upstream_at(server.v1, retries=retries) as upstream:
            with pytest.raises((RateLimitExceeded, UpstreamError)):
                await upstream.send(a_body())

        assert len(server.received) == requests


async def test_an_upstream_that_is_not_there_is_unavailable() -> None:
    async with loopback_server(answers()) as gone:
        pass
    async with upstream_at(gone.v1) as upstream:
        with pytest.raises(UpstreamUnavailable) as raised:
            await upstream.send(a_body())

    assert str(gone.port) not in raised.value.message


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("streamed", "accept"), [(False, "application/json"), (True, "text/event-stream")])
async def test_a_request_goes_out_with_the_key_and_without_compression(streamed: bool, accept: str, slash: str) -> None:
    async with loopback_server(answers()) as server, upstream_at(server.v1 + slash) as upstream:
        assert await upstream.send(a_body(streamed=streamed)) == json.dumps(ANSWER).encode()

        (seen,) = server.received
        assert (seen.method, seen.path, seen.body) == ("POST", "/v1/chat/completions", b'{"model":"m"}')
        assert seen.headers["authorization"] == "Bearer sk-operator"
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["accept"] == accept
        assert seen.headers["accept-encoding"] == "identity"


async def test_a_compression_that_was_not_requested_is_undone() -> None:
    respond = answers(gzip.compress(b'{"a":1}'), content_encoding="gzip")
    async with loopback_server(respond) as server, upstream_at(server.v1) as upstream:
        assert await upstream.send(a_body()) == b'{"a":1}'


async def test_a_malformed_compression_is_an_upstream_error() -> None:
    async with (
        loopback_server(answers(b"not gzip", content_encoding="gzip")) as server,
        upstream_at(server.v1) as upstream,
    ):
        with pytest.raises(UpstreamError):
            await upstream.send(a_body())


async def test_of_the_upstreams_headers_only_retry_after_is_kept() -> None:
    respond = answers({}, 429, retry_after="30", x_internal="10.0.0.1", set_cookie="a=b")
    async with loopback_server(respond) as server, upstream_at(server.v1) as upstream:
        with pytest.raises(RateLimitExceeded) as raised:
            await upstream.send(a_body())

    assert (raised.value.retry_after_s, raised.value.headers) == (30, {})


async def test_a_second_request_uses_the_connection_of_the_first() -> None:
    left = []
    async with loopback_server(answers()) as server, upstream_at(server.v1) as upstream:
        for _ in range(2):
            await upstream.send(a_body())
            left.append([request.caller_left.is_set() for request in server.received])

    assert left == [[False], [False, False]]


@pytest.mark.parametrize(
    ("key", "body", "path", "expected"),
    [
        ("sk-ant-api03-x", a_body("messages"), "/v1/messages", (None, "sk-ant-api03-x", "2023-06-01")),
        (
            "sk-ant-api03-x",
            a_body("messages", counts_tokens=True),
            "/v1/messages/count_tokens",
            (None, "sk-ant-api03-x", "2023-06-01"),
        ),
        ("sk-ant-api03-x", a_body(), "/v1/chat/completions", ("Bearer sk-ant-api03-x", None, None)),
        ("sk-own", a_body("messages"), "/v1/messages", ("Bearer sk-own", None, "2023-06-01")),
        ("sk-own", a_body("responses"), "/v1/responses", ("Bearer sk-own", None, None)),
        (None, a_body("messages"), "/v1/messages", (None, None, "2023-06-01")),
    ],
)
async def test_the_key_goes_into_the_header_of_the_dialect(
    key: str | None, body: UpstreamBody, path: str, expected: tuple
) -> None:
    kind = default_kind({"chat", body.dialect})
    async with loopback_server(answers()) as server, upstream_at(server.v1, key=key, kind=kind) as upstream:
        await upstream.send(body)

        sent = server.received[0]
        assert sent.path == path
        assert tuple(sent.headers.get(name) for name in ("authorization", "x-api-key", "anthropic-version")) == expected


async def test_a_user_in_the_url_goes_out_as_basic_credentials() -> None:
    async with loopback_server(answers()) as server:
        url = server.v1.replace("://", "://operator:p%40ss@")
        async with upstream_at(url) as upstream:
            await upstream.send(a_body())

    sent = server.received[0].headers
    assert (sent["authorization"], sent["host"]) == ("Basic b3BlcmF0b3I6cEBzcw==", f"127.0.0.1:{server.port}")


async def test_with_a_proxy_requests_go_through_the_client_of_httpx() -> None:
    async with (
        loopback_server(answers()) as server,
        httpx.AsyncClient(transport=FastTransport(), trust_env=False) as client,
    ):
        upstream = HttpUpstream(ClientTransport(client), server.v1, load_kind("openai")("sk-operator"))

        assert await upstream.send(a_body()) == json.dumps(ANSWER).encode()
        assert server.received[0].headers["authorization"] == "Bearer sk-operator"


async def test_the_models_of_an_upstream_are_listed() -> None:
    listed = {"object": "list", "data": [{"id": "a", "created": 5, "owned_by": "x"}, {"id": "b"}]}
    async with loopback_server(answers(listed)) as server, upstream_at(server.v1) as upstream:
        assert await upstream.models() == [ModelListing("a", 5, "x"), ModelListing("b")]
        assert (server.received[0].method, server.received[0].path) == ("GET", "/v1/models")


class EventStreamDialect(OpenAIUpstream):
    """A kind of upstream as different as Bedrock: other paths, a signature, its own JSON and its own framing."""

    def encode(self, body: UpstreamBody) -> UpstreamRequest:
        return UpstreamRequest("/model/m/converse", ((b"content-type", b"application/json"),), b'{"native":1}')

    def authorize(self, request: UpstreamRequest, url: str) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"authorization", f"SIG {request.method} {url} {len(request.body)}".encode()),)

    def decode(self, body: bytes) -> bytes:
        return body.replace(b"output", b"choices")

    def is_stream(self, content_type: str) -> bool:
        return content_type == "application/vnd.amazon.eventstream"

    def stream_decoder(self) -> Self:
        return self

    def feed(self, chunk: bytes) -> list[bytes]:
        return [b"data: %b\n\n" % chunk]


async def test_a_kind_of_upstream_signs_translates_and_frames_as_it_likes() -> None:
    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="application/vnd.amazon.eventstream", transfer_encoding="chunked")
        await wire.chunk(b"frame")
        await wire.chunk(b"")

    async with loopback_server(in_turn(answers({"output": 1}), respond)) as server, FastTransport() as transport:
        upstream = HttpUpstream(transport, server.v1, EventStreamDialect(None))

        assert await upstream.send(a_body()) == b'{"choices": 1}'
        assert await received_of(upstream) == [b"data: frame\n\n"]
        assert server.received[0].headers["authorization"] == f"SIG POST {server.v1}/model/m/converse 12"


@pytest.mark.parametrize("kind", UPSTREAM_KINDS)
def test_every_registered_kind_speaks_chat_the_pivot(kind: str) -> None:
    assert "chat" in load_kind(kind).speaks
    assert load_kind(kind)(None).encode(a_body()).path.startswith("/")
