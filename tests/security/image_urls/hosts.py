"""Image hosts on loopback that a test scripts, and the network and the resolver that lead to them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpcore

type Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

IMAGE = b"\x89PNG not really, but bytes"
PUBLIC_ADDRESS = "93.184.215.14"


@dataclass
class Host:
    """A listening host: the requests that it received, and whether its clients have closed their connections."""

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
async def image_host(
    script: Script, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", *, sends_first: bool = False
) -> AsyncIterator[Host]:
    """Listen on a free port and run ``script`` on every connection, after the request unless ``sends_first``."""

    host = Host(0, "https" if tls else "http")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host.connections += 1
        host.open_connections += 1
        host.all_closed.clear()
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            if not sends_first:
                host.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await script(reader, writer)
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


def a_response(body: bytes = IMAGE, status: str = "200 OK", headers: Iterable[str] = ()) -> bytes:
    """A whole HTTP/1.1 response; its Content-Length is right unless ``headers`` has one or a Transfer-Encoding."""
    lines = list(headers)
    if not any(line.lower().startswith(("content-length:", "transfer-encoding:")) for line in lines):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def responding(*responses: bytes) -> Script:
    """Send the next of ``responses`` on each connection, and on later ones the last; then close it."""
    left = list(responses)

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return script


def a_redirect(location: str, status: int = 302) -> bytes:
    return a_response(b"", f"{status} Elsewhere", [f"Location: {location}"])


def repeating(beginning: bytes, repeated: bytes, pause_s: float = 0) -> Script:
    """Send ``beginning``, then ``repeated`` over and over until the client closes."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        while not writer.is_closing():
            writer.write(repeated)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return script


def stalling_after(beginning: bytes) -> Script:
    """Send ``beginning``, then nothing until the client closes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await writer.drain()
        await reader.read()

    return script


class LoopbackNetwork(httpcore.AsyncNetworkBackend):
    """Records the address of each connection, and connects to a host on loopback instead.

    All checks before that, and their order, are thus the real ones.
    """

    def __init__(self, port: int = 0, unreachable: Sequence[str] = ()) -> None:
        self._port = port
        self._unreachable = unreachable
        self._tcp = httpcore.AnyIOBackend()
        self.connected_to: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connected_to.append((host, port))
        if host in self._unreachable:
            raise httpcore.ConnectError("All connection attempts failed")
        return await self._tcp.connect_tcp("127.0.0.1", self._port, timeout)


class FakeResolver:
    """A resolver that returns each of ``results`` in turn, and the last one from then on."""

    def __init__(self, *results: Sequence[str]) -> None:
        self._results = list(results)
        self.lookups: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.lookups.append((host, port))
        return self._results.pop(0) if len(self._results) > 1 else self._results[0]
