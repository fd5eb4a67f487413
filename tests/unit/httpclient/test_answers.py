"""Answers in every form that HTTP/1.1 has, read whole or refused."""

import httpx
import pytest

from obscura.httpclient.transport import FastTransport
from tests.support.raw_server import Line, saying, saying_once, talking_server

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWER = HEAD + b"Content-Length: 5\r\n\r\nhello"


def a_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=FastTransport(), trust_env=False)


GOOD = {
    "Content-Length": ANSWER,
    "chunked": CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    "several chunks": CHUNKED + b"1\r\nh\r\n3;ext=1\r\nell\r\n1\r\no\r\n0\r\nTrailer: x\r\n\r\n",
    "header names in lower case": b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello",
    "no reason": b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello",
    "100 before": b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER,
    "103 with headers before": b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nX-Early: 1\r\n\r\n" + ANSWER,
    "several before": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ANSWER,
}


@pytest.mark.parametrize("answer", GOOD.values(), ids=GOOD.keys())
@pytest.mark.parametrize("piece", [1, 7, 10_000])
async def test_an_answer_is_read_whole_however_it_is_framed_and_cut(answer: bytes, piece: int) -> None:
    pieces = [answer[start : start + piece] for start in range(0, len(answer), piece)]
    async with talking_server(saying(*pieces)) as server, a_client() as client:
        for _ in range(2):
            response = await client.post(server.url, content=b"x")

            assert (response.status_code, response.content) == (200, b"hello")
            assert "x-early" not in response.headers
        assert server.connections == 1


@pytest.mark.parametrize(
    "head",
    [HEAD + b"\r\n", HEAD + b"Connection: close\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"],
    ids=["1.1", "close", "1.0"],
)
async def test_without_a_length_the_end_of_the_connection_is_the_end_of_the_answer(head: bytes) -> None:
    async with talking_server(saying_once(head, b"hel", b"lo")) as server, a_client() as client:
        response = await client.post(server.url, content=b"x")

        assert response.content == b"hello"


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_is_over_with_its_head(status: int) -> None:
    async with talking_server(saying(b"HTTP/1.1 %d None\r\n\r\n" % status)) as server, a_client() as client:
        for _ in range(2):
            response = await client.post(server.url, content=b"x")

            assert (response.status_code, response.content) == (status, b"")
        assert server.connections == 1


async def test_the_request_goes_out_with_its_path_headers_and_body() -> None:
    heard = []

    async def talk(line: Line) -> None:
        heard.append(await line.hear())
        await line.say(ANSWER)

    async with talking_server(talk) as server, a_client() as client:
        await client.post(f"{server.url}a%20b?c=d%26e", content=b"\x00\xff", headers={"X-One": "é".encode("latin-1")})

    head, _, body = heard[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /a%20b?c=d%26e HTTP/1.1"
    assert b"Host: 127.0.0.1:%d" % server.port in lines
    assert b"Content-Length: 2" in lines
    assert b"X-One: \xe9" in lines
    assert body == b"\x00\xff"


async def test_headers_that_come_twice_are_both_kept() -> None:
    answer = HEAD + b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    async with talking_server(saying(answer)) as server, a_client() as client:
        response = await client.post(server.url, content=b"x")

        assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    "answer",
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
async def test_what_is_not_http_is_a_protocol_error_and_the_connection_is_dropped(answer: bytes) -> None:
    async def talk(line: Line) -> None:
        await line.hear()
        await line.say(answer)
        await line.other_side_closed()

    async with talking_server(talk) as server, a_client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(server.url, content=b"x", timeout=5)

        await server.wait_for_ends(1)


@pytest.mark.parametrize("spread", [b"X-Filler: %b\r\n" % (b"x" * 1000), b"x" * 1000], ids=["many lines", "one line"])
async def test_a_head_without_end_is_refused(spread: bytes) -> None:
    said = 0

    async def talk(line: Line) -> None:
        nonlocal said
        await line.hear()
        await line.say(HEAD + b"X: ")
        while True:
            await line.say(spread)
            said += len(spread)

    async with talking_server(talk) as server, a_client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(server.url, content=b"x")

        await server.wait_for_ends(1)
    assert said < 20_000_000


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 100 Continue\r\n\r\n"], ids=repr)
async def test_a_connection_that_ends_before_the_head_is_a_read_error(said: bytes) -> None:
    async with talking_server(saying_once(said)) as server, a_client() as client:
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
async def test_a_body_that_breaks_off_gives_what_came_and_then_fails(broken_off: bytes) -> None:
    async with talking_server(saying_once(broken_off)) as server, a_client() as client:
        async with client.stream("POST", server.url, content=b"x") as response:
            seen = b""
            with pytest.raises(httpx.ReadError):
                async for piece in response.aiter_raw():
                    seen += piece

        assert b"hello".startswith(seen)
        assert seen


async def test_a_chunk_of_nonsense_fails_in_the_middle_of_the_body() -> None:
    async with (
        talking_server(saying(CHUNKED, b"5\r\nhello\r\nzz\r\n")) as server,
        a_client() as client,
        client.stream("POST", server.url, content=b"x") as response,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
