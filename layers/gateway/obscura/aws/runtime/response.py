"""The prelude of a streamed response: status and headers as API Gateway takes them, JSON before the eight NULs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from obscura.aws.runtime.connection import ApiResponse, Connection
from obscura.aws.runtime.error_report import ErrorReport


class Prelude(msgspec.Struct, omit_defaults=True, rename="camel"):
    """API Gateway's developer guide, "Lambda proxy integration with response streaming"."""

    status_code: int
    headers: dict[str, str]
    multi_value_headers: dict[str, list[str]] = {}
    cookies: list[str] = []


def write_prelude(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write the prelude for ASGI's status and headers; a header that comes twice keeps all its values."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    cookies = values.pop("set-cookie", [])
    single = {name: told[0] for name, told in values.items() if len(told) == 1}
    several = {name: told for name, told in values.items() if len(told) > 1}
    return msgspec.json.encode(Prelude(status, single, several, cookies))


PRELUDE_END = bytes(8)
_FIELDS = (
    b"Content-Type: application/vnd.awslambda.http-integration-response\r\n"
    b"Lambda-Runtime-Function-Response-Mode: streaming\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n"
)


class StreamedResponse:
    """Sends a body as it comes ("Response streaming"); each call raises ConnectionError when nobody takes it.

    ``begun``: the prelude is on its way; ``complete``: all was sent and taken; ``gone``: nobody takes the rest;
    ``refused_with``: the status by which the Runtime API refused it, None otherwise.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], request_head: bytes) -> None:
        """``request_head`` has the request line and Host, and ends in an empty line."""
        self._connect = connect
        self._head = request_head.removesuffix(b"\r\n") + _FIELDS
        self._connection: Connection | None = None
        self._ending = False
        self.complete = False
        self.refused_with: int | None = None
        self.gone = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether the time for an error report is over: what fails from now on goes into the trailers."""
        return self._connection is not None

    async def begin(self, prelude: bytes) -> None:
        """Send the prelude, JSON, and the eight NULs behind it: always, for the edge waits for both."""
        self._connection = await self._connect()
        self._connection.over.add_done_callback(self._note_leaving)
        await self._send(self._head, *_chunk(prelude + PRELUDE_END))

    async def send(self, data: bytes) -> None:
        """Send some of the body at once."""
        if data:
            await self._send(*_chunk(data))

    async def end(self) -> None:
        """Say that this was all, and hear that it was taken."""
        await self._finish(b"0\r\n\r\n")

    async def fail(self, failure: ErrorReport) -> None:
        """Say that the body is not whole, and why."""
        await self._finish(b"0\r\n%b\r\n" % failure.trailers())

    def close(self) -> None:
        """Let go: a response that is cut short takes its connection with it."""
        if self._connection is not None and not self.complete:
            self._connection.close()

    async def _send(self, *pieces: bytes) -> None:
        if self._connection is None or self.gone.is_set():
            raise ConnectionResetError("nobody takes this response")
        await self._connection.send(*pieces)

    async def _finish(self, last: bytes) -> None:
        self._ending = True
        await self._send(last)
        if self._connection is not None:
            self._note_answer(await self._connection.answer())
        if not self.complete:
            raise ConnectionAbortedError("the Runtime API refused this response")

    def _note_answer(self, answer: ApiResponse) -> None:
        taken = 200 <= answer.status < 300
        self.complete = taken and self._ending
        self.refused_with = None if taken else answer.status

    def _note_leaving(self, over: asyncio.Future[ApiResponse]) -> None:
        if self._ending:
            return
        if over.exception() is None:
            self._note_answer(over.result())
        self.gone.set()


def _chunk(data: bytes) -> tuple[bytes, bytes, bytes]:
    return b"%x\r\n" % len(data), data, b"\r\n"
