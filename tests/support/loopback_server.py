"""A real HTTP/1.1 server on loopback: a test scripts its responses byte by byte, and it keeps the requests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httptools

type Respond = Callable[["Received", "Wire"], Coroutine[Any, Any, None]]


@dataclass
class Received:
    """One request as it arrived."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    caller_left: asyncio.Event = field(default_factory=asyncio.Event)

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """The server's side of one connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int = 200, **headers: str) -> None:
        lines = [
            f"HTTP/1.1 {status} Any",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        await self.write("\r\n".join([*lines, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def answer(self, status: int, body: bytes, content_type: str = "application/json", **headers: str) -> None:
        await self.head(status, content_type=content_type, content_length=str(len(body)), **headers)
        await self.write(body)

    def drop(self) -> None:
        self._writer.transport.abort()


class LoopbackServer:
    """Runs ``respond`` for every request; ``received`` has all of them."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.received: list[Received] = []
        self.arrived = asyncio.Condition()
        self.port = 0
        self._connections: set[asyncio.Task[Any] | None] = set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def v1(self) -> str:
        return f"{self.origin}/v1"

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.current_task())
        try:
            while (request := await _read_request(reader)) is not None:
                async with self.arrived:
                    self.received.append(request)
                    self.arrived.notify_all()
                responding = asyncio.create_task(self.respond(request, Wire(writer)))
                leaving = asyncio.create_task(_left(reader, request))
                try:
                    await asyncio.wait({responding, leaving}, return_when=asyncio.FIRST_COMPLETED)
                    if leaving.done() and not responding.done():
                        return
                    await responding
                finally:
                    responding.cancel()
                    leaving.cancel()
                    await asyncio.gather(responding, leaving, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(asyncio.current_task())
            writer.close()

    async def wait_for_requests(self, count: int) -> None:
        async with asyncio.timeout(10), self.arrived:
            await self.arrived.wait_for(lambda: len(self.received) >= count)

    async def close(self) -> None:
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*filter(None, self._connections), return_exceptions=True)


@asynccontextmanager
async def loopback_server(respond: Respond) -> AsyncIterator[LoopbackServer]:
    server = LoopbackServer(respond)
    listener = await asyncio.start_server(server.serve_connection, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.close()


class _Parsed:
    def __init__(self) -> None:
        self.request = Received()
        self.complete = False
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self.request.path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.request.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.request.body = b"".join(self._body)
        self.complete = True


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    parsed = _Parsed()
    parser = httptools.HttpRequestParser(parsed)
    while not parsed.complete:
        data = await reader.read(256 * 1024)
        if not data:
            return None
        parser.feed_data(data)
    parsed.request.method = parser.get_method().decode()
    return parsed.request


async def _left(reader: asyncio.StreamReader, request: Received) -> None:
    """Wait until the client closes; nothing is pipelined on these connections, so no byte of a request is lost."""
    with suppress(ConnectionError):
        await reader.read(1)
    request.caller_left.set()
