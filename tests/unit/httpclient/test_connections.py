"""Connections: kept, reused, dropped, and never holding more than they should."""

import asyncio
import time
from contextlib import suppress

import httpx
import pytest

from obscura.httpclient.connection import MAX_BUFFERED_BYTES
from obscura.httpclient.transport import FastTransport
from tests.support.raw_server import Line, saying, talking_server

HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWER = HEAD + b"Content-Length: 5\r\n\r\nhello"
EVIL = b"HTTP/1.1 403 No\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil"
MEBIBYTE = 1024 * 1024


def a_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=FastTransport(), trust_env=False, timeout=5)


async def test_one_connection_serves_one_request_after_another() -> None:
    async with talking_server(saying(ANSWER)) as server, a_client() as client:
        for _ in range(5):
            await client.post(server.url, content=b"x")

        assert server.connections == 1


async def test_requests_at_once_have_a_connection_each_and_the_connections_are_used_again() -> None:
    all_here = asyncio.Barrier(4)

    async def talk(line: Line) -> None:
        while True:
            await line.hear()
            await all_here.wait()
            await line.say(ANSWER)

    async with talking_server(talk) as server, a_client() as client:
        for _ in range(3):
            response = await asyncio.gather(*[client.post(server.url, content=b"x") for _ in range(4)])

            assert [one.content for one in response] == [b"hello"] * 4
        assert server.connections == 4


@pytest.mark.parametrize("value", ["key\r\nX-Another: header", "key\nX-Another: header", "key\r"])
async def test_a_header_that_would_end_before_its_value_does_is_not_sent(value: str) -> None:
    async with talking_server(saying(ANSWER)) as server, a_client() as client:
        with pytest.raises(httpx.LocalProtocolError, match="authorization"):
            await client.post(server.url, headers={"authorization": value})

        assert (await client.post(server.url)).content == b"hello"


async def test_two_servers_share_no_connection() -> None:
    async with talking_server(saying(ANSWER)) as one, talking_server(saying(EVIL)) as other, a_client() as client:
        response = [await client.post(server.url, content=b"x") for server in (one, other, one, other)]

        assert [answer.status_code for answer in response] == [200, 403, 200, 403]
        assert (one.connections, other.connections) == (1, 1)


@pytest.mark.parametrize("head", [HEAD + b"Connection: close\r\n", b"HTTP/1.0 200 OK\r\n"], ids=["close", "1.0"])
async def test_a_connection_that_the_server_will_not_keep_is_not_used_again(head: bytes) -> None:
    async with talking_server(saying(head + b"Content-Length: 0\r\n\r\n")) as server, a_client() as client:
        for _ in range(3):
            await client.post(server.url, content=b"x")

        assert server.connections == 3


async def test_a_connection_that_closed_while_idle_is_not_used_again() -> None:
    async def talk(line: Line) -> None:
        await line.hear()
        await line.say(ANSWER)
        line.writer.write_eof()
        await line.other_side_closed()

    async with talking_server(talk) as server, a_client() as client:
        for connections in (1, 2, 3):
            response = await client.post(server.url, content=b"x")
            await server.wait_for_ends(connections)

            assert response.content == b"hello"
            assert server.connections == connections


async def test_a_connection_that_speaks_unasked_while_idle_is_dropped() -> None:
    speak = asyncio.Semaphore(0)

    async def talk(line: Line) -> None:
        await line.hear()
        await line.say(ANSWER)
        await speak.acquire()
        await line.say(EVIL)
        await line.other_side_closed()

    async with talking_server(talk) as server, a_client() as client:
        for connections in (1, 2):
            response = await client.post(server.url, content=b"x")
            speak.release()
            await server.wait_for_ends(connections)

            assert (response.status_code, response.content) == (200, b"hello")
            assert server.connections == connections


@pytest.mark.parametrize("extra", [b"\x00", b"hello", EVIL, b"HTTP/1.1 200 OK\r\n", EVIL[:30]], ids=repr)
@pytest.mark.parametrize(
    "answer", [ANSWER, HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"], ids=["length", "chunked"]
)
async def test_bytes_behind_an_answer_change_nothing_of_it_and_end_the_connection(answer: bytes, extra: bytes) -> None:
    async with talking_server(saying(answer + extra)) as server, a_client() as client:
        for connections in (1, 2):
            response = await client.post(server.url, content=b"x")

            assert (response.status_code, response.content) == (200, b"hello")
            assert "x-evil" not in response.headers
            assert server.connections == connections


async def test_an_exchange_that_is_cancelled_drops_its_connection() -> None:
    heard = asyncio.Event()

    async def talk(line: Line) -> None:
        await line.hear()
        heard.set()
        await line.other_side_closed()

    async with talking_server(talk) as server, a_client() as client:
        asking = asyncio.create_task(client.post(server.url, content=b"x"))
        await heard.wait()

        asking.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asking
        await server.wait_for_ends(1)


async def test_an_answer_that_is_left_in_the_middle_drops_its_connection() -> None:
    async def talk(line: Line) -> None:
        await line.hear()
        await line.say(HEAD + b"Content-Length: 9\r\n\r\nhello")
        await line.other_side_closed()

    async with talking_server(talk) as server, a_client() as client:
        async with client.stream("POST", server.url, content=b"x") as response:
            assert await anext(response.aiter_raw()) == b"hello"

        await server.wait_for_ends(1)
        assert server.connections == 1


async def test_waiting_for_the_answer_to_a_request_without_a_body_takes_no_cpu() -> None:
    async def talk(line: Line) -> None:
        await line.hear()
        await line.other_side_closed()

    async with talking_server(talk) as server, a_client() as client:
        began_s = time.process_time()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.get(server.url)

        assert time.process_time() - began_s < 0.2


async def test_closing_the_client_closes_its_idle_connections() -> None:
    async with talking_server(saying(ANSWER)) as server:
        async with a_client() as client:
            await client.post(server.url, content=b"x")

        await server.wait_for_ends(1)


async def the_server_stalls(written: list[int]) -> None:
    """Turn the loop until nothing more has been written for many turns: both ends run in this very loop."""
    still, last = 0, -1
    while still < 200:
        await asyncio.sleep(0)
        still, last = (still + 1, last) if written[0] == last else (0, written[0])


@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
async def test_a_fast_server_waits_for_a_slow_reader(framing: str) -> None:
    piece, count, written = bytes(MEBIBYTE // 4), 256, [0]
    heads = {
        "length": b"Content-Length: %d\r\n\r\n" % (len(piece) * count),
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n",
        "until the end": b"\r\n",
    }

    async def talk(line: Line) -> None:
        await line.hear()
        await line.say(HEAD + heads[framing])
        for _ in range(count):
            await line.say(b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece)
            written[0] += len(piece)
        if framing == "chunked":
            await line.say(b"0\r\n\r\n")

    async with talking_server(talk) as server, a_client() as client:
        async with client.stream("POST", server.url, content=b"x") as response:
            pieces = response.aiter_raw()
            read = len(await anext(pieces))

            await the_server_stalls(written)

            assert written[0] < len(piece) * count / 2
            async for one in pieces:
                read += len(one)
                assert len(one) <= MAX_BUFFERED_BYTES + MEBIBYTE
        assert read == len(piece) * count


async def test_a_port_that_nobody_listens_on_is_a_connect_error() -> None:
    async with talking_server(saying(ANSWER)) as gone:
        pass
    async with a_client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(gone.url, content=b"x")


async def test_a_connection_that_takes_too_long_is_a_connect_timeout() -> None:
    async def says_nothing(line: Line) -> None:
        await line.other_side_closed()

    async with talking_server(says_nothing) as server, a_client() as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.post(server.https_url, content=b"x", timeout=httpx.Timeout(None, connect=0.2))

        await server.wait_for_ends(1)


async def test_requests_cancelled_at_any_step_leave_no_connection_in_use_by_two() -> None:
    async def talk(line: Line) -> None:
        while True:
            asked = await line.hear()
            body = asked.partition(b"\r\n\r\n")[2]
            await line.say(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
            await line.say(body)

    async with talking_server(talk) as server, a_client() as client:
        for turns in range(40):
            asking = asyncio.create_task(client.post(server.url, content=b"cancelled %d" % turns))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking

            response = await client.post(server.url, content=b"asked %d" % turns)

            assert response.content == b"asked %d" % turns
