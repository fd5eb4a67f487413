"""One HTTP/1.1 connection: a request goes out, its response comes in, and maybe the next exchange follows."""

import asyncio
import select
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import cast

import httptools

MAX_HEAD_BYTES = 64 * 1024
MAX_BUFFERED_BYTES = 256 * 1024
MAX_JOINED_BYTES = 64 * 1024
"""Pieces of a request up to this size in all are copied into one write; larger ones are written each by itself."""


class ConnectionClosed(ConnectionError):
    """The connection closed before the end of the response."""


class MalformedResponse(ConnectionError):
    """The response is not HTTP/1.1, or its head is over the limit."""


@dataclass(slots=True)
class ResponseHead:
    """Status and headers as they came."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def body_ends_at_close(self) -> bool:
        """Whether the body has no length: it ends when the connection closes (RFC 9112 §6.3)."""
        names = {name.lower() for name, _ in self.headers}
        return not names & {b"content-length", b"transfer-encoding"}


class Connection(asyncio.Protocol):
    """Client side of HTTP/1.1, one exchange at a time, with at most ``MAX_BUFFERED_BYTES`` of a body unread.

    A request that is in memory goes through ``round_trip``. One that is still being produced goes through ``begin``,
    then ``write`` and ``drain`` for each piece, then ``head``; its response may come before all of it is written.
    Nothing here has a timeout: the caller's own cancels the wait. All failures are ConnectionError.
    """

    _head: ResponseHead
    _chunks: deque[bytes]
    _held_bytes: int
    _head_bytes: int
    _unparsed_bytes: int
    _in_exchange: bool
    _head_complete: bool
    _complete: bool
    _keep_alive: bool
    _reading_paused: bool
    _failure: ConnectionError | None
    _on_over: Callable[[ResponseHead | None], None] | None

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._reset()

    async def round_trip(self, request: list[bytes]) -> ResponseHead:
        """Send a whole request, given in pieces, and return the head of its response; raises ConnectionError."""
        self.begin()
        self.write(*request)
        return await self.head()

    def begin(self, on_over: Callable[[ResponseHead | None], None] | None = None) -> None:
        """Prepare for the next exchange.

        ``on_over`` is called once: with the head when the response is complete, with None when it cannot come any more.
        """
        self._reset()
        self._in_exchange = True
        self._on_over = on_over

    def write(self, *pieces: bytes) -> None:
        """Write the next pieces of the request, empty ones allowed; raises ConnectionError.

        Not with ``writelines``: CPython 3.13.0's spins on an empty piece and never pauses the writer.
        """
        if self._transport is None or self._transport.is_closing():
            raise self._failure or ConnectionClosed("the connection is closed")
        if sum(map(len, pieces)) <= MAX_JOINED_BYTES:
            self._transport.write(b"".join(pieces))
        else:
            for piece in pieces:
                self._transport.write(piece)

    async def drain(self) -> None:
        """Wait while the other side does not read."""
        await self._writable.wait()

    async def head(self) -> ResponseHead:
        """Wait for the head of the response, for days if need be; raises ConnectionError."""
        while not self._head_complete:
            await self._wait()
        return self._head

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body of the response as it comes; raises ConnectionError when it breaks off."""
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                self._held_bytes -= len(chunk)
                if self._reading_paused and self._held_bytes < MAX_BUFFERED_BYTES and self._transport is not None:
                    self._reading_paused = False
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
        return self._complete and self._keep_alive and not self._reading_paused

    @property
    def has_received(self) -> bool:
        """Whether any byte of this exchange's response has come."""
        return self._unparsed_bytes > 0

    def has_unread_input(self) -> bool:
        """Whether the socket has input that the event loop has not seen; between two exchanges, that is its end.

        POSIX only. For a loop that may have been blocked for long, as a function's is when its code blocks.
        """
        if self._transport is None:
            return False
        readable = select.poll()
        readable.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return bool(readable.poll(0))

    def close(self) -> None:
        """Drop the connection at once, with all data in flight."""
        if self._transport is not None:
            self._transport.abort()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head = ResponseHead()
        self._chunks = deque()
        self._held_bytes = self._head_bytes = self._unparsed_bytes = 0
        self._in_exchange = self._head_complete = self._complete = self._keep_alive = self._reading_paused = False
        self._failure = None
        self._on_over = None

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._arrival = self._loop.create_future()
        await self._arrival

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        if self._on_over is not None and (self._complete or self._failure is not None):
            on_over, self._on_over = self._on_over, None
            on_over(self._head if self._complete else None)

    def _fail(self, failure: ConnectionError) -> None:
        if not self._complete and self._failure is None:
            self._failure = failure
        self.close()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

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
            self._fail(MalformedResponse("the response is not HTTP/1.1"))
        if not self._head_complete and self._unparsed_bytes > MAX_HEAD_BYTES:
            self._fail(MalformedResponse(f"the head of the response is over {MAX_HEAD_BYTES} bytes, the limit"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._keep_alive = False
        self._writable.set()
        if self._head_complete and self._head.body_ends_at_close() and exc is None:
            self._complete = True
        else:
            self._fail(ConnectionClosed("the connection closed before the end of the response"))
        self._wake()

    # Called by httptools.

    def on_message_begin(self) -> None:
        """Reject what follows the response: it belongs to no request."""
        if self._complete:
            raise MalformedResponse("more bytes follow the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise MalformedResponse(f"the head of the response is over {MAX_HEAD_BYTES} bytes, the limit")
        if not self._head_complete:  # trailers are no headers (RFC 9110 §6.5.1)
            self._head.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head.status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()
        if self._head.status >= 200:
            self._head_complete = True

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._held_bytes += len(body)
        if self._held_bytes > MAX_BUFFERED_BYTES and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._head_complete:
            self._complete = True
        else:
            self._head = ResponseHead()
