"""Connections: kept, reused, dropped, and with a bounded buffer."""

import asyncio
import time
from contextlib import suppress

import httpx
import pytest

from obscura.httpclient.connection import MAX_BUFFERED_BYTES
from obscura.httpclient.tls import tls
from obscura.httpclient.transport import FastTransport
from tests.support.raw_server import RawConnection, raw_server, responding

HEAD = b"HTTP/1.1 200 OK\r\n"
RESPONSE = HEAD + b"Content-Length: 5\r\n\r\nhello"
EVIL = b"HTTP/1.1 403 No\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil"
MEBIBYTE = 1024 * 1024


def a_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=FastTransport(), trust_env=False, timeout=5)


async def test_one_connection_serves_one_request_after_another() -> None:
    async with raw_server(responding(RESPONSE)) as server, a_client() as client:
        for _ in range(5):
            await client.post(server.url, content=b"x")

        assert server.connections == 1


async def test_concurrent_requests_have_a_connection_each_which_is_reused() -> None:
    all_received = asyncio.Barrier(4)

    async def script(connection: RawConnection) -> None:
        while True:
            await connection.read_request()
            await all_received.wait()
            await connection.send(RESPONSE)

    async with raw_server(script) as server, a_client() as client:
        for _ in range(3):
            responses = await asyncio.gather(*[client.post(server.url, content=b"x") for _ in range(4)])

            assert [response.content for response in responses] == [b"hello"] * 4
        assert server.connections == 4


@pytest.mark.parametrize("value", ["key\r\nX-Another: header", "key\nX-Another: header", "key\r"])
async def test_a_header_with_a_line_break_is_not_sent(value: str) -> None:
    async with raw_server(responding(RESPONSE)) as server, a_client() as client:
        with pytest.raises(httpx.LocalProtocolError, match="authorization"):
            await client.post(server.url, headers={"authorization": value})

        assert (await client.post(server.url)).content == b"hello"


async def test_two_servers_share_no_connection() -> None:
    async with raw_server(responding(RESPONSE)) as one, raw_server(responding(EVIL)) as other, a_client() as client:
        responses = [await client.post(server.url, content=b"x") for server in (one, other, one, other)]

        assert [response.status_code for response in responses] == [200, 403, 200, 403]
        assert (one.connections, other.connections) == (1, 1)


@pytest.mark.parametrize("head", [HEAD + b"Connection: close\r\n", b"HTTP/1.0 200 OK\r\n"], ids=["close", "1.0"])
async def test_a_connection_that_the_server_will_close_is_not_reused(head: bytes) -> None:
    async with raw_server(responding(head + b"Content-Length: 0\r\n\r\n")) as server, a_client() as client:
        for _ in range(3):
            await client.post(server.url, content=b"x")

        assert server.connections == 3


async def test_a_connection_that_closed_while_idle_is_not_reused() -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        await connection.send(RESPONSE)
        connection.writer.write_eof()
        await connection.wait_closed()

    async with raw_server(script) as server, a_client() as client:
        for connections in (1, 2, 3):
            response = await client.post(server.url, content=b"x")
            await server.wait_for_closed(connections)

            assert response.content == b"hello"
            assert server.connections == connections


async def test_a_connection_that_sends_unrequested_bytes_while_idle_is_dropped() -> None:
    send_more = asyncio.Semaphore(0)

    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        await connection.send(RESPONSE)
        await send_more.acquire()
        await connection.send(EVIL)
        await connection.wait_closed()

    async with raw_server(script) as server, a_client() as client:
        for connections in (1, 2):
            response = await client.post(server.url, content=b"x")
            send_more.release()
            await server.wait_for_closed(connections)

            assert (response.status_code, response.content) == (200, b"hello")
            assert server.connections == connections


@pytest.mark.parametrize("extra", [b"\x00", b"hello", EVIL, b"HTTP/1.1 200 OK\r\n", EVIL[:30]], ids=repr)
@pytest.mark.parametrize(
    "data",
    [RESPONSE, HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"],
    ids=["length", "chunked"],
)
async def test_bytes_after_a_response_do_not_change_it_and_end_the_connection(data: bytes, extra: bytes) -> None:
    async with raw_server(responding(data + extra)) as server, a_client() as client:
        for connections in (1, 2):
            response = await client.post(server.url, content=b"x")

            assert (response.status_code, response.content) == (200, b"hello")
            assert "x-evil" not in response.headers
            assert server.connections == connections


async def test_a_cancelled_exchange_drops_its_connection() -> None:
    received = asyncio.Event()

    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        received.set()
        await connection.wait_closed()

    async with raw_server(script) as server, a_client() as client:
        sending = asyncio.create_task(client.post(server.url, content=b"x"))
        await received.wait()

        sending.cancel()

        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.wait_for_closed(1)


async def test_a_response_that_is_not_read_to_its_end_drops_its_connection() -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        await connection.send(HEAD + b"Content-Length: 9\r\n\r\nhello")
        await connection.wait_closed()

    async with raw_server(script) as server, a_client() as client:
        async with client.stream("POST", server.url, content=b"x") as response:
            assert await anext(response.aiter_raw()) == b"hello"

        await server.wait_for_closed(1)
        assert server.connections == 1


async def test_waiting_for_the_response_to_an_empty_request_takes_no_cpu() -> None:
    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        await connection.wait_closed()

    async with raw_server(script) as server, a_client() as client:
        began_s = time.process_time()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.get(server.url)

        assert time.process_time() - began_s < 0.2


async def test_closing_the_client_closes_its_idle_connections() -> None:
    async with raw_server(responding(RESPONSE)) as server:
        async with a_client() as client:
            await client.post(server.url, content=b"x")

        await server.wait_for_closed(1)


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

    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        await connection.send(HEAD + heads[framing])
        for _ in range(count):
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece)
            written[0] += len(piece)
        if framing == "chunked":
            await connection.send(b"0\r\n\r\n")

    async with raw_server(script) as server, a_client() as client:
        async with client.stream("POST", server.url, content=b"x") as response:
            pieces = response.aiter_raw()
            read = len(await anext(pieces))

            await the_server_stalls(written)

            assert written[0] < len(piece) * count / 2
            async for one in pieces:
                read += len(one)
                assert len(one) <= MAX_BUFFERED_BYTES + MEBIBYTE
        assert read == len(piece) * count


async def test_a_port_without_a_listener_is_a_connect_error() -> None:
    async with raw_server(responding(RESPONSE)) as gone:
        pass
    async with a_client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(gone.url, content=b"x")


async def test_a_slow_handshake_is_a_connect_timeout() -> None:
    async def sends_nothing(connection: RawConnection) -> None:
        await connection.wait_closed()

    await tls()  # reading the certificates is part of the first connection, and may take all of its time
    async with raw_server(sends_nothing) as server, a_client() as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.post(server.https_url, content=b"x", timeout=httpx.Timeout(None, connect=0.2))

        await server.wait_for_closed(1)


async def test_no_connection_is_shared_after_a_cancel_at_any_step() -> None:
    async def script(connection: RawConnection) -> None:
        while True:
            request = await connection.read_request()
            body = request.partition(b"\r\n\r\n")[2]
            await connection.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
            await connection.send(body)

    async with raw_server(script) as server, a_client() as client:
        for turns in range(40):
            sending = asyncio.create_task(client.post(server.url, content=b"cancelled %d" % turns))
            for _ in range(turns):
                await asyncio.sleep(0)
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

            response = await client.post(server.url, content=b"sent %d" % turns)

            assert response.content == b"sent %d" % turns
