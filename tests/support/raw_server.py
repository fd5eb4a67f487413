"""A server that a test scripts byte by byte, in the clear or over TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

type Script = Callable[["RawConnection"], Awaitable[None]]


@dataclass
class RawConnection:
    """The server's side of one connection; ``number`` counts from 1."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    async def read_request(self) -> bytes:
        """Wait for a whole request; returns its head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
        return head + await self.reader.readexactly(int(length))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def wait_closed(self) -> None:
        """Read until the client closes."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


@dataclass
class RawServer:
    """``connections`` counts those that were opened, ``closed`` those whose script is over."""

    port: int = 0
    connections: int = 0
    closed: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def https_url(self) -> str:
        return f"https://127.0.0.1:{self.port}/"

    async def wait_for_closed(self, count: int) -> None:
        """Wait until this many connections are closed."""
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: self.closed >= count)


@asynccontextmanager
async def raw_server(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Run ``script`` on every connection, and close it at the end of the script."""
    server = RawServer()
    under_way: set[asyncio.Task[Any] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.current_task())
        server.connections += 1
        try:
            await script(RawConnection(reader, writer, server.connections))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            under_way.discard(asyncio.current_task())
            async with server.changed:
                server.closed += 1
                server.changed.notify_all()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*filter(None, under_way), return_exceptions=True)


def responding(*pieces: bytes) -> Script:
    """Respond to every request on a connection with these pieces, each written by itself."""

    async def script(connection: RawConnection) -> None:
        while True:
            await connection.read_request()
            for piece in pieces:
                await connection.send(piece)

    return script


def responding_once(*pieces: bytes) -> Script:
    """Respond to the first request with these pieces, then close the connection."""

    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        for piece in pieces:
            await connection.send(piece)

    return script
