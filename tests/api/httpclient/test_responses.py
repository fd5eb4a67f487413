"""Responses in every form that HTTP/1.1 has, read whole or rejected."""

import httpx
import pytest

from obscura.httpclient.transport import FastTransport
from tests.support.raw_server import RawConnection, raw_server, responding, responding_once

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
RESPONSE = HEAD + b"Content-Length: 5\r\n\r\nhello"


def a_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=FastTransport(), trust_env=False)


GOOD = {
    "Content-Length": RESPONSE,
    "chunked": CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    "several chunks": CHUNKED + b"1\r\nh\r\n3;ext=1\r\nell\r\n1\r\no\r\n0\r\nTrailer: x\r\n\r\n",
    "header names in lower case": b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello",
    "no reason": b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello",
    "100 before": b"HTTP/1.1 100 Continue\r\n\r\n" + RESPONSE,
    "103 with headers before": b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nX-Early: 1\r\n\r\n" + RESPONSE,
    "several before": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + RESPONSE,
}


@pytest.mark.parametrize("response_bytes", GOOD.values(), ids=GOOD.keys())
@pytest.mark.parametrize("piece", [1, 7, 10_000])
async def test_a_response_is_read_whole_in_any_framing_and_any_pieces(response_bytes: bytes, piece: int) -> None:
    pieces = [response_bytes[start : start + piece] for start in range(0, len(response_bytes), piece)]
    async with raw_server(responding(*pieces)) as server, a_client() as client:
        for _ in range(2):
            response = await client.post(server.url, content=b"x")

            assert (response.status_code, response.content) == (200, b"hello")
            assert "x-early" not in response.headers
        assert server.connections == 1


@pytest.mark.parametrize("piece", [1, 10_000])
async def test_trailers_are_no_headers(piece: int) -> None:
    sent = CHUNKED + b"5\r\nhello\r\n0\r\nContent-Type: text/event-stream\r\n\r\n"
    pieces = [sent[start : start + piece] for start in range(0, len(sent), piece)]
    async with raw_server(responding(*pieces)) as server, a_client() as client:
        response = await client.post(server.url, content=b"x")

        assert (response.content, "content-type" in response.headers) == (b"hello", False)


@pytest.mark.parametrize(
    "head",
    [HEAD + b"\r\n", HEAD + b"Connection: close\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"],
    ids=["1.1", "close", "1.0"],
)
async def test_a_body_without_a_length_ends_when_the_connection_closes(head: bytes) -> None:
    async with raw_server(responding_once(head, b"hel", b"lo")) as server, a_client() as client:
        response = await client.post(server.url, content=b"x")

        assert response.content == b"hello"


@pytest.mark.parametrize("status", [204, 304])
async def test_a_response_without_a_body_is_complete_with_its_head(status: int) -> None:
    async with raw_server(responding(b"HTTP/1.1 %d None\r\n\r\n" % status)) as server, a_client() as client:
        for _ in range(2):
            response = await client.post(server.url, content=b"x")

            assert (response.status_code, response.content) == (status, b"")
        assert server.connections == 1


async def test_a_request_is_sent_with_its_path_headers_and_body() -> None:
    requests = []

    async def script(connection: RawConnection) -> None:
        requests.append(await connection.read_request())
        await connection.send(RESPONSE)

    async with raw_server(script) as server, a_client() as client:
        await client.post(f"{server.url}a%20b?c=d%26e", content=b"\x00\xff", headers={b"X-One": "é".encode("latin-1")})

    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /a%20b?c=d%26e HTTP/1.1"
    assert b"Host: 127.0.0.1:%d" % server.port in lines
    assert b"Content-Length: 2" in lines
    assert b"X-One: \xe9" in lines
    assert body == b"\x00\xff"


async def test_a_repeated_header_keeps_both_values() -> None:
    response_bytes = HEAD + b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(responding(response_bytes)) as server, a_client() as client:
        response = await client.post(server.url, content=b"x")

        assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    "response_bytes",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=repr,
)
async def test_a_malformed_response_is_a_protocol_error_and_drops_the_connection(response_bytes: bytes) -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        await connection.send(response_bytes)
        await connection.wait_closed()

    async with raw_server(script) as server, a_client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(server.url, content=b"x", timeout=5)

        await server.wait_for_closed(1)


@pytest.mark.parametrize("spread", [b"X-Filler: %b\r\n" % (b"x" * 1000), b"x" * 1000], ids=["many lines", "one line"])
async def test_an_endless_head_is_a_protocol_error(spread: bytes) -> None:
    sent = 0

    async def script(connection: RawConnection) -> None:
        nonlocal sent
        await connection.read_request()
        await connection.send(HEAD + b"X: ")
        while True:
            await connection.send(spread)
            sent += len(spread)

    async with raw_server(script) as server, a_client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(server.url, content=b"x")

        await server.wait_for_closed(1)
    assert sent < 20_000_000


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 100 Continue\r\n\r\n"], ids=repr)
async def test_a_connection_that_closes_before_the_head_is_a_read_error(sent: bytes) -> None:
    async with raw_server(responding_once(sent)) as server, a_client() as client:
        with pytest.raises(httpx.ReadError):
            await client.post(server.url, content=b"x")


@pytest.mark.parametrize(
    "broken_off",
    [
        HEAD + b"Content-Length: 9\r\n\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
    ids=["length", "between chunks", "within a chunk", "before the last line"],
)
async def test_a_truncated_body_yields_what_arrived_and_then_fails(broken_off: bytes) -> None:
    async with raw_server(responding_once(broken_off)) as server, a_client() as client:
        async with client.stream("POST", server.url, content=b"x") as response:
            seen = b""
            with pytest.raises(httpx.ReadError):
                async for piece in response.aiter_raw():
                    seen += piece

        assert b"hello".startswith(seen)
        assert seen


async def test_a_malformed_chunk_fails_in_the_middle_of_the_body() -> None:
    async with (
        raw_server(responding(CHUNKED, b"5\r\nhello\r\nzz\r\n")) as server,
        a_client() as client,
        client.stream("POST", server.url, content=b"x") as response,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
