"""One connection: a request goes out, its answer's head and body come in, and maybe the next one follows."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import httptools
import httpx

MAX_HEAD_BYTES = 64 * 1024
MAX_BUFFERED_BYTES = 256 * 1024


@dataclass(slots=True)
class ResponseHead:
    """An answer's status and headers, as they came."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def ends_with_the_connection(self) -> bool:
        """Whether nothing but the closing marks the end of the body (RFC 9112 §6.3)."""
        names = {name.lower() for name, _ in self.headers}
        return not names & {b"content-length", b"transfer-encoding"}


class Connection(asyncio.Protocol):
    """A client's side of HTTP/1.1, one exchange at a time, with at most ``MAX_BUFFERED_BYTES`` unread."""

    _head: ResponseHead
    _chunks: deque[bytes]
    _held_bytes: int
    _head_bytes: int
    _unparsed_bytes: int
    _in_exchange: bool
    _head_complete: bool
    _complete: bool
    _keep_alive: bool
    _paused: bool
    _failure: Exception | None

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._reset()

    async def exchange(self, request: list[bytes]) -> ResponseHead:
        """Send a request, given in pieces, and wait for the head of its answer; raises httpx.TransportError."""
        if self._transport is None:
            raise httpx.ConnectError("not connected")
        self._reset()
        self._in_exchange = True
        # asyncio never gets rid of an empty piece: its loop would spin until the answer is there.
        self._transport.writelines([piece for piece in request if piece])
        while not self._head_complete:
            await self._wait()
        return self._head

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the answer's body as it comes; raises httpx.TransportError when it breaks off."""
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                self._held_bytes -= len(chunk)
                if self._paused and self._held_bytes < MAX_BUFFERED_BYTES and self._transport is not None:
                    self._paused = False
                    self._transport.resume_reading()
                yield chunk
            elif self._complete:
                return
            else:
                await self._wait()

    def is_reusable(self) -> bool:
        """Whether the exchange is over and another may follow on this connection."""
        if self._transport is None or self._transport.is_closing():
            return False
        return self._complete and self._keep_alive and not self._paused

    def close(self) -> None:
        """Drop the connection at once, whatever is on its way."""
        if self._transport is not None:
            self._transport.abort()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head = ResponseHead()
        self._chunks = deque()
        self._held_bytes = self._head_bytes = self._unparsed_bytes = 0
        self._in_exchange = self._head_complete = self._complete = self._keep_alive = self._paused = False
        self._failure = None

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._arrived = self._loop.create_future()
        await self._arrived

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _fail(self, failure: Exception) -> None:
        if not self._complete and self._failure is None:
            self._failure = failure
        self.close()
        self._wake()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._in_exchange or self._complete:
            self._keep_alive = False
            self.close()
            return
        self._unparsed_bytes += 0 if self._head_complete else len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._keep_alive = False
            self._fail(httpx.RemoteProtocolError("the answer is not HTTP/1.1"))
        if not self._head_complete and self._unparsed_bytes > MAX_HEAD_BYTES:
            self._fail(httpx.RemoteProtocolError("the answer's head is too long"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._keep_alive = False
        if self._head_complete and self._head.ends_with_the_connection() and exc is None:
            self._complete = True
        else:
            self._fail(httpx.ReadError("the connection closed before the answer's end"))
        self._wake()

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Refuse to go on behind the answer that was asked for: what follows it belongs to no request."""
        if self._complete:
            raise httpx.RemoteProtocolError("there is more than the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise httpx.RemoteProtocolError("the answer's head is too long")
        self._head.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head.status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()
        if self._head.status >= 200:
            self._head_complete = True

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._held_bytes += len(body)
        if self._held_bytes > MAX_BUFFERED_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._head_complete:
            self._complete = True
        else:
            self._head = ResponseHead()
