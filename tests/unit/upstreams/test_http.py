"""The upstream over HTTP: how long it is waited for, what goes out, and what its failures become."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from obscura.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from obscura.httpclient.transport import FastTransport
from obscura.upstreams.base import UpstreamRequest
from obscura.upstreams.http import HttpUpstream, UpstreamTimeouts
from tests.support.fake_upstream import CHUNKS, answers, hangs_up, stays_silent, streams
from tests.support.loopback_server import loopback_server

IMPATIENT = UpstreamTimeouts(connect_s=1, first_byte_s=0.2, between_chunks_s=0.2)


def a_call(*, streamed: bool = False) -> UpstreamRequest:
    return UpstreamRequest("/chat/completions", b'{"model":"m"}', streamed)


@asynccontextmanager
async def upstream_at(
    base_url: str, timeouts: UpstreamTimeouts | None = None, key: str | None = "sk-operator"
) -> AsyncIterator[HttpUpstream]:
    async with httpx.AsyncClient(transport=FastTransport(), trust_env=False) as client:
        yield HttpUpstream(client, base_url, key, timeouts)


async def test_a_silent_upstream_is_given_up_within_the_time_for_the_first_byte() -> None:
    async with loopback_server(stays_silent) as server, upstream_at(server.v1, IMPATIENT) as upstream:
        async with asyncio.timeout(2):
            with pytest.raises(UpstreamTimeout, match=r"0\.2 s") as refused:
                async with upstream.answer(a_call()):
                    pass

        await server.received[0].caller_left.wait()
        assert (refused.value.status, refused.value.code) == (504, "upstream_timeout")


async def test_an_upstream_that_sends_a_head_and_no_more_is_given_up() -> None:
    async def respond(request, wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        await asyncio.Event().wait()

    async with (
        loopback_server(respond) as server,
        upstream_at(server.v1, IMPATIENT) as upstream,
        asyncio.timeout(2),
    ):
        with pytest.raises(UpstreamTimeout):
            async with upstream.answer(a_call(streamed=True)) as response:
                await anext(response.chunks)


async def test_silence_in_mid_stream_is_a_timeout_after_all_that_came() -> None:
    async with (
        loopback_server(streams(CHUNKS[0], then="stays silent")) as server,
        upstream_at(server.v1, IMPATIENT) as upstream,
        asyncio.timeout(2),
    ):
        seen = []
        with pytest.raises(UpstreamTimeout):
            async with upstream.answer(a_call(streamed=True)) as response:
                async for piece in response.chunks:
                    seen += [piece]

        assert seen == [CHUNKS[0]]
        await server.received[0].caller_left.wait()


async def test_a_stream_longer_than_any_timeout_is_read_to_its_end_as_long_as_it_moves() -> None:
    moves = asyncio.Semaphore(0)

    async def respond(request, wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        for _ in range(6):
            await moves.acquire()
            await wire.chunk(CHUNKS[1])
        await wire.chunk(b"")

    timeouts = UpstreamTimeouts(first_byte_s=0.5, between_chunks_s=0.5)
    async with loopback_server(respond) as server, upstream_at(server.v1, timeouts) as upstream:
        began = asyncio.get_running_loop().time()
        async with upstream.answer(a_call(streamed=True)) as response:
            asyncio.get_running_loop().call_later(0.2, moves.release)
            async for piece in response.chunks:
                assert piece == CHUNKS[1]
                asyncio.get_running_loop().call_later(0.2, moves.release)

        assert asyncio.get_running_loop().time() - began > 1


async def test_a_stream_that_breaks_off_is_the_upstreams_error() -> None:
    async with loopback_server(streams(CHUNKS[0], then="breaks")) as server, upstream_at(server.v1) as upstream:
        with pytest.raises(UpstreamError, match="middle"):
            async with upstream.answer(a_call(streamed=True)) as response:
                assert [piece async for piece in response.chunks]


async def test_an_upstream_that_hangs_up_is_the_upstreams_error() -> None:
    async with loopback_server(hangs_up) as server, upstream_at(server.v1) as upstream:
        with pytest.raises(UpstreamError):
            async with upstream.answer(a_call()):
                pass

        assert len(server.received) == 3


async def test_an_upstream_that_is_not_there_is_unavailable() -> None:
    async with loopback_server(answers()) as gone:
        pass
    async with upstream_at(gone.v1) as upstream:
        with pytest.raises(UpstreamUnavailable) as refused:
            async with upstream.answer(a_call()):
                pass

    assert str(gone.port) not in refused.value.message


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("streamed", "accept"), [(False, "application/json"), (True, "text/event-stream")])
async def test_a_call_goes_out_with_the_operators_key_and_asks_for_no_compression(streamed, accept, slash) -> None:
    async with loopback_server(answers()) as server, upstream_at(server.v1 + slash) as upstream:
        async with upstream.answer(a_call(streamed=streamed)) as response:
            assert response.status == 200

        (seen,) = server.received
        assert (seen.method, seen.path, seen.body) == ("POST", "/v1/chat/completions", b'{"model":"m"}')
        assert seen.headers["authorization"] == "Bearer sk-operator"
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["accept"] == accept
        assert seen.headers["accept-encoding"] == "identity"


async def test_a_compression_that_nobody_asked_for_is_undone() -> None:
    respond = answers(gzip.compress(b'{"a":1}'), content_encoding="gzip")
    async with (
        loopback_server(respond) as server,
        upstream_at(server.v1) as upstream,
        upstream.answer(a_call()) as response,
    ):
        assert b"".join([piece async for piece in response.chunks]) == b'{"a":1}'


async def test_a_compression_that_is_none_is_the_upstreams_error() -> None:
    async with (
        loopback_server(answers(b"not gzip", content_encoding="gzip")) as server,
        upstream_at(server.v1) as upstream,
    ):
        with pytest.raises(UpstreamError):
            async with upstream.answer(a_call()) as response:
                assert [piece async for piece in response.chunks]


async def test_only_the_headers_that_concern_the_caller_are_passed() -> None:
    respond = answers({}, 400, retry_after="3", x_internal="10.0.0.1", set_cookie="a=b")
    async with (
        loopback_server(respond) as server,
        upstream_at(server.v1) as upstream,
        upstream.answer(a_call()) as response,
    ):
        assert response.headers == {"retry-after": "3"}


async def test_a_second_call_uses_the_connection_of_the_first() -> None:
    left = []
    async with loopback_server(answers()) as server, upstream_at(server.v1) as upstream:
        for _ in range(2):
            async with upstream.answer(a_call()) as response:
                assert [piece async for piece in response.chunks]
            left.append([request.caller_left.is_set() for request in server.received])

    assert left == [[False], [False, False]]


@pytest.mark.parametrize(
    ("key", "path", "expected"),
    [
        ("sk-ant-api03-x", "/messages", (None, "sk-ant-api03-x", "2023-06-01")),
        ("sk-ant-api03-x", "/messages/count_tokens", (None, "sk-ant-api03-x", "2023-06-01")),
        ("sk-ant-api03-x", "/chat/completions", ("Bearer sk-ant-api03-x", None, None)),
        ("sk-own", "/messages", ("Bearer sk-own", None, "2023-06-01")),
        (None, "/messages", (None, None, "2023-06-01")),
    ],
)
async def test_the_key_goes_where_the_upstreams_dialect_looks_for_it(key, path, expected) -> None:
    async with loopback_server(answers()) as server, upstream_at(server.v1, key=key) as upstream:
        async with upstream.answer(UpstreamRequest(path, b"{}", False)):
            pass

        sent = server.received[0].headers
        assert tuple(sent.get(name) for name in ("authorization", "x-api-key", "anthropic-version")) == expected
