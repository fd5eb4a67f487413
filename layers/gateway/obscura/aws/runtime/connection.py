"""A connection to the Runtime API: HTTP/1.1 that goes on sending while it listens, one exchange at a time."""

import asyncio
import select
from dataclasses import dataclass, field
from typing import cast

import httptools


@dataclass(slots=True)
class ApiResponse:
    """What the Runtime API says; header names in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Connection(asyncio.Protocol):
    """The sending and the listening side of one socket; an answer may come, or the end, before all is sent."""

    _answer: asyncio.Future[ApiResponse]

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._keep_alive = True
        self.begin_exchange()

    def begin_exchange(self) -> None:
        """Get ready for the next request and its answer."""
        self._parser = httptools.HttpResponseParser(self)
        self._coming = ApiResponse()
        self._pieces: list[bytes] = []
        self._answer = self._loop.create_future()

    async def send(self, *pieces: bytes) -> None:
        """Send what comes next, and wait while the other side takes nothing in; raises ConnectionError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the Runtime API closed the connection")
        # Not writelines: CPython 3.13.0's never pauses who sends, and spins on an empty piece.
        self._transport.write(b"".join(pieces))
        await self._writable.wait()

    async def answer(self) -> ApiResponse:
        """Wait for the answer, however long it takes; raises ConnectionError."""
        return await asyncio.shield(self._answer)

    @property
    def over(self) -> asyncio.Future[ApiResponse]:
        """The answer under way: done once it is there, or failed once it cannot come any more."""
        return self._answer

    def is_reusable(self) -> bool:
        """Whether another exchange may follow: the last one is over, and neither side has closed."""
        if self._transport is None or self._transport.is_closing():
            return False
        return self._keep_alive and self._answer.done() and not _has_something_to_read(self._transport)

    def close(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._end(ConnectionError("the Runtime API does not speak HTTP/1.1"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._end(ConnectionResetError("the Runtime API closed the connection"))

    def _end(self, failure: ConnectionError) -> None:
        if not self._answer.done():
            self._answer.set_exception(failure)
            self._answer.exception()  # marked as seen: nobody may be waiting for this answer

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._coming.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._coming.status = self._parser.get_status_code()
        self._coming.body = b"".join(self._pieces)
        self._pieces.clear()
        self._keep_alive = self._parser.should_keep_alive()
        if not self._answer.done():
            self._answer.set_result(self._coming)


def _has_something_to_read(transport: asyncio.Transport) -> bool:
    """Whether there is what the loop has not seen yet; between two exchanges it can only be the other side's end."""
    arriving = select.poll()
    arriving.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(arriving.poll(0))
