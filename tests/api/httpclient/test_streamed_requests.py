"""Requests that are still being sent while their response arrives, as the Lambda runtime sends them."""

import asyncio

import pytest

from obscura.httpclient.connection import Connection, ConnectionClosed, ResponseHead
from tests.support.raw_server import RawConnection, RawServer, raw_server

HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
RESPONSE = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def connected(server: RawServer) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", server.port)
    return connection


async def body_of(connection: Connection) -> bytes:
    return b"".join([piece async for piece in connection.body()])


async def test_each_piece_of_a_request_is_sent_at_once_and_none_is_empty() -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(server_side: RawConnection) -> None:
        while piece := await server_side.reader.read(65536):
            received.put_nowait(piece)
            if piece == END:
                await server_side.send(RESPONSE)

    async with raw_server(script) as server:
        connection = await connected(server)
        for _ in range(2):
            connection.begin()
            for piece in (HEAD, chunk(b"one"), chunk(b"two"), END):
                connection.write(b"", piece, b"")
                await connection.drain()
                assert await received.get() == piece

            assert (await connection.head()).status == 202
            assert await body_of(connection) == b"ok"
            assert connection.is_reusable()
        connection.close()


async def test_an_early_response_is_reported_before_the_request_is_sent() -> None:
    async def script(server_side: RawConnection) -> None:
        await server_side.reader.readuntil(b"\r\n\r\n")
        await server_side.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await server_side.wait_closed()

    over: asyncio.Future[ResponseHead | None] = asyncio.Future()
    async with raw_server(script) as server:
        connection = await connected(server)
        connection.begin(on_over=over.set_result)
        connection.write(HEAD)

        head = await over

        assert head is not None
        assert head.status == 413
        assert await body_of(connection) == b"no"
        connection.write(chunk(b"more"))
        connection.close()


async def test_a_connection_that_closes_before_a_response_is_reported() -> None:
    async def script(server_side: RawConnection) -> None:
        await server_side.reader.readuntil(b"\r\n\r\n")

    over: asyncio.Future[ResponseHead | None] = asyncio.Future()
    async with raw_server(script) as server:
        connection = await connected(server)
        connection.begin(on_over=over.set_result)
        connection.write(HEAD)

        assert await over is None
        with pytest.raises(ConnectionClosed):
            connection.write(chunk(b"more"))
        with pytest.raises(ConnectionClosed):
            await connection.head()
        assert not connection.is_reusable()


async def test_a_fast_writer_waits_for_a_slow_server() -> None:
    may_read = asyncio.Event()

    async def script(server_side: RawConnection) -> None:
        await may_read.wait()
        while not (await server_side.reader.read(1 << 20)).endswith(END):
            pass
        await server_side.send(RESPONSE)

    async with raw_server(script) as server:
        connection = await connected(server)
        connection.begin()
        connection.write(HEAD)
        written = 0

        async def write_all() -> None:
            nonlocal written
            for _ in range(64):
                connection.write(*(b"%x\r\n" % (1 << 20), bytes(1 << 20), b"\r\n"))
                await connection.drain()
                written += 1

        writing = asyncio.create_task(write_all())
        for _ in range(200):
            await asyncio.sleep(0)

        assert written < 32
        may_read.set()
        await writing
        connection.write(END)
        assert (await connection.head()).status == 202
        connection.close()


async def test_a_closed_socket_is_seen_before_the_event_loop_has_read_it() -> None:
    async def script(server_side: RawConnection) -> None:
        await server_side.reader.readuntil(b"\r\n\r\n")
        await server_side.send(RESPONSE)
        await server_side.reader.read(1)

    async with raw_server(script) as server:
        connection = await connected(server)
        await connection.round_trip([HEAD])
        await body_of(connection)
        assert not connection.has_unread_input()
        connection._transport.pause_reading()  # stands for a loop that is blocked

        connection.write(b"x")
        await server.wait_for_closed(1)

        assert connection.is_reusable()
        assert connection.has_unread_input()
        connection.close()
