"""A server that says, line by line and connection by connection, what a test tells it to, in the clear or over TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

type Talk = Callable[["Line"], Awaitable[None]]


@dataclass
class Line:
    """One connection; ``number`` counts from 1."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    async def hear(self) -> bytes:
        """Wait for a whole request; gives its head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
        return head + await self.reader.readexactly(int(length))

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def other_side_closed(self) -> None:
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


@dataclass
class TalkingServer:
    port: int = 0
    connections: int = 0
    ended: asyncio.Condition = field(default_factory=asyncio.Condition)
    ends: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def https_url(self) -> str:
        return f"https://127.0.0.1:{self.port}/"

    async def wait_for_ends(self, count: int) -> None:
        """Wait until this many talks are over."""
        async with asyncio.timeout(5), self.ended:
            await self.ended.wait_for(lambda: self.ends >= count)


@asynccontextmanager
async def talking_server(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[TalkingServer]:
    """Serve ``talk`` on every connection, and close it at the end of the talk."""
    server = TalkingServer()
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.current_task())
        server.connections += 1
        try:
            await talk(Line(reader, writer, server.connections))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            under_way.discard(asyncio.current_task())
            async with server.ended:
                server.ends += 1
                server.ended.notify_all()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def saying(*pieces: bytes) -> Talk:
    """Answer every request on a connection with these pieces, each written by itself."""

    async def talk(line: Line) -> None:
        while True:
            await line.hear()
            for piece in pieces:
                await line.say(piece)

    return talk


def saying_once(*pieces: bytes) -> Talk:
    """Answer the first request with these pieces, then close the connection."""

    async def talk(line: Line) -> None:
        await line.hear()
        for piece in pieces:
            await line.say(piece)

    return talk
