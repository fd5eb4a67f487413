"""Transport for httpx: connections by origin, the idle ones on a stack, the freshest used first."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from time import monotonic

import httpx

from obscura.httpclient.connection import Connection, MalformedResponse, ResponseHead
from obscura.httpclient.tls import tls

type OriginKey = tuple[str, str, int]

IDLE_TIMEOUT_S = 30.0
MAX_IDLE_CONNECTIONS = 200
"""For each origin."""
STALE_S = 1.0
"""How soon a connection fails that was closed before the request: later, the server has been at work on it."""
DEFAULT_PORTS = {"http": 80, "https": 443}


class FastTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 with keep-alive for requests whose body is in memory; as many connections as there are requests.

    Of httpx's timeouts only ``connect`` is applied; everything else waits until the caller's own timeout cancels it,
    which drops the connection. A request on a connection that its server has closed meanwhile is sent once more, on a
    new one, if it fails at once and no byte of a response came (RFC 9112 §9.3.1).
    """

    def __init__(self) -> None:
        self._idle: dict[OriginKey, list[tuple[Connection, float]]] = defaultdict(list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response once its head has arrived; raises httpx.TransportError."""
        url = request.url
        origin = (url.scheme, url.host, url.port or DEFAULT_PORTS[url.scheme])
        encoded = _encode_request(request)
        idle, began_s = self._take_idle(origin), monotonic()
        connection = idle or await self._connect(origin, request)
        try:
            head = await _round_trip(connection, encoded)
        except ConnectionError as failure:
            if connection is not idle or idle.has_received or monotonic() - began_s > STALE_S:
                raise _httpx_error(failure) from None
            connection = await self._connect(origin, request)
            try:
                head = await _round_trip(connection, encoded)
            except ConnectionError as second:
                raise _httpx_error(second) from None
        return httpx.Response(head.status, headers=head.headers, stream=_Body(self, origin, connection))

    async def aclose(self) -> None:
        """Close the idle connections."""
        for idle in self._idle.values():
            for connection, _ in idle:
                connection.close()
        self._idle.clear()

    def release(self, origin: OriginKey, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if none may follow."""
        idle = self._idle[origin]
        if connection.is_reusable() and len(idle) < MAX_IDLE_CONNECTIONS:
            idle.append((connection, monotonic()))
        else:
            connection.close()

    def _take_idle(self, origin: OriginKey) -> Connection | None:
        idle = self._idle[origin]
        while idle:
            connection, since = idle.pop()
            if connection.is_reusable() and monotonic() - since < IDLE_TIMEOUT_S:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: OriginKey, request: httpx.Request) -> Connection:
        scheme, host, port = origin
        timeout_s: float | None = request.extensions["timeout"]["connect"]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                context = await tls() if scheme == "https" else None
                _, connection = await loop.create_connection(Connection, host, port, ssl=context)
        except TimeoutError:
            raise httpx.ConnectTimeout(f"no connection within {timeout_s} s") from None
        except (OSError, ssl.SSLError) as failure:
            raise httpx.ConnectError(type(failure).__name__) from None
        return connection


class _Body(httpx.AsyncByteStream):
    """Body of a response; closing it before its end drops the connection."""

    def __init__(self, transport: FastTransport, origin: OriginKey, connection: Connection) -> None:
        self._transport = transport
        self._origin = origin
        self._connection: Connection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._connection is None:
            return
        try:
            async for chunk in self._connection.body():
                yield chunk
        except ConnectionError as failure:
            raise _httpx_error(failure) from None

    async def aclose(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._transport.release(self._origin, connection)


async def _round_trip(connection: Connection, request: list[bytes]) -> ResponseHead:
    """Send a request on a connection, which is closed if that fails; raises ConnectionError."""
    try:
        return await connection.round_trip(request)
    except BaseException:
        connection.close()
        raise


def _httpx_error(failure: ConnectionError) -> httpx.TransportError:
    if isinstance(failure, MalformedResponse):
        return httpx.RemoteProtocolError(str(failure))
    return httpx.ReadError(str(failure))


def _encode_request(request: httpx.Request) -> list[bytes]:
    """Encode a request as head and body (RFC 9112 §3); httpx has set Host and Content-Length.

    Raises httpx.LocalProtocolError for a header with a line break, after which anything could follow (RFC 9110 §5.5).
    """
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    for name, value in request.headers.raw:
        if b"\r" in value or b"\n" in value:
            raise httpx.LocalProtocolError(f"The header {name.decode('ascii')} has a line break.")
        lines.append(b"%b: %b" % (name, value))
    return [b"\r\n".join([*lines, b"", b""]), request.content]
