"""Image hosts on loopback that behave as badly as a test wants them to, and the network that leads to them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpcore

type Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

IMAGE = b"\x89PNG not really, but bytes"
PUBLIC_ADDRESS = "93.184.215.14"


@dataclass
class Host:
    """A listening host: what it was asked, and whether its clients have hung up."""

    port: int
    scheme: str
    requests: list[bytes] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    all_closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/secret-path/a.png?secret=query"


@asynccontextmanager
async def a_host(
    talk: Talk, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", *, speaks_first: bool = False
) -> AsyncIterator[Host]:
    """Listen on a free port and hold ``talk`` with whoever connects, after their request unless it speaks first."""

    host = Host(0, "https" if tls else "http")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host.connections += 1
        host.open_connections += 1
        host.all_closed.clear()
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            if not speaks_first:
                host.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await talk(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        host.open_connections -= 1
        if not host.open_connections:
            host.all_closed.set()

    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: host.server_names.append(name)
    server = await asyncio.start_server(serve, address, 0, ssl=tls)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


def an_answer(body: bytes = IMAGE, status: str = "200 OK", headers: Iterable[str] = ()) -> bytes:
    """A whole HTTP/1.1 answer; its Content-Length is true unless ``headers`` brings one or a Transfer-Encoding."""
    lines = list(headers)
    if not any(line.lower().startswith(("content-length:", "transfer-encoding:")) for line in lines):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def saying(*answers: bytes) -> Talk:
    """Say the next of ``answers`` to each connection, and the last one ever after; then hang up."""
    left = list(answers)

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return talk


def a_redirect(location: str, status: int = 302) -> bytes:
    return an_answer(b"", f"{status} Elsewhere", [f"Location: {location}"])


def endlessly(beginning: bytes, again: bytes, pause_s: float = 0) -> Talk:
    """Say ``beginning``, and ``again`` and ``again`` until the client hangs up."""

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        while not writer.is_closing():
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return talk


def then_silence(beginning: bytes) -> Talk:
    """Say ``beginning``, then nothing until the client hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await writer.drain()
        await reader.read()

    return talk


class Detour(httpcore.AsyncNetworkBackend):
    """Notes which address was dialled, and connects to a host on loopback in its stead.

    What was checked, and in which order, is thus the real thing up to the last wire.
    """

    def __init__(self, port: int = 0, unreachable: Sequence[str] = ()) -> None:
        self._port = port
        self._unreachable = unreachable
        self._tcp = httpcore.AnyIOBackend()
        self.dialled: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append((host, port))
        if host in self._unreachable:
            raise httpcore.ConnectError("All connection attempts failed")
        return await self._tcp.connect_tcp("127.0.0.1", self._port, timeout)


class Names:
    """A resolver that gives each of ``answers`` in turn, and the last one ever after."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
