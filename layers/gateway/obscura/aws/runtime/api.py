"""Client of the Lambda Runtime API: takes the next invocation, sends its response as a stream, reports errors.

A connection lasts from invocation to invocation, unless the Runtime API closes it (ADR 146). Sources: Lambda developer
guide, "Using the Lambda runtime API for custom runtimes" and "Response streaming".
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from obscura.aws.runtime.error_report import ErrorReport
from obscura.httpclient.connection import Connection, ResponseHead

VERSION = "/2018-06-01/runtime"


class RuntimeApiError(Exception):
    """The Runtime API rejected a call."""

    def __init__(self, call: str, status: int) -> None:
        super().__init__(f"the Runtime API rejected {call} with status {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Invocation:
    """An event, undecoded JSON, and the headers of "Next invocation"."""

    request_id: str
    deadline_ms: int
    function_arn: str
    trace_id: str | None
    event: bytes

    @classmethod
    def from_response(cls, head: ResponseHead, event: bytes) -> "Invocation":
        """Read the headers; raises KeyError if one is missing that every invocation has."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.headers}
        return cls(
            request_id=headers["lambda-runtime-aws-request-id"],
            deadline_ms=int(headers["lambda-runtime-deadline-ms"]),
            function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
            trace_id=headers.get("lambda-runtime-trace-id"),
            event=event,
        )


class RuntimeApi:
    """Runtime API at ``address``, the value of ``AWS_LAMBDA_RUNTIME_API``; one exchange at a time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._connection: Connection | None = None

    def another(self) -> "RuntimeApi":
        """Return a client of the same Runtime API with a connection of its own, for another invocation at once."""
        return RuntimeApi(self._address)

    async def next_invocation(self, hold_event: Callable[[int], Awaitable[None]]) -> Invocation:
        """Wait for the next invocation, for days if need be; raises ConnectionError or RuntimeApiError.

        ``hold_event`` is awaited with the bytes of the event before it is read.
        """
        try:
            connection, head = await self._begin_call("GET", "/invocation/next")
        except ConnectionError:
            # The connection may have closed after the last exchange; whether the Runtime API is gone, a new one shows.
            connection, head = await self._begin_call("GET", "/invocation/next")
        try:
            await hold_event(_content_length(head))
            event = await _read(connection)
        except BaseException:
            connection.close()
            raise
        if not _is_success(head):
            raise RuntimeApiError("GET /invocation/next", head.status)
        return Invocation.from_response(head, event)

    def response(self, request_id: str) -> "StreamedResponse":
        """Return the response to an invocation; it takes the connection when it begins."""
        return StreamedResponse(self._connect, self._head("POST", f"/invocation/{request_id}/response"))

    async def report_failure(self, request_id: str, failure: ErrorReport) -> None:
        """Report that an invocation failed before its response began."""
        await self._report(f"/invocation/{request_id}/error", failure)

    async def report_init_failure(self, failure: ErrorReport) -> None:
        """Report that the function cannot start; the process must end then."""
        await self._report("/init/error", failure)

    async def restore_next(self) -> None:
        """Let the snapshot be taken: returns, without a connection, in each environment that is restored from it."""
        await self._call("GET", "/restore/next")
        self.close()

    async def report_restore_failure(self, failure: ErrorReport) -> None:
        """Report that a hook failed after the restore; the process must end then."""
        await self._report("/restore/error", failure)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _report(self, path: str, failure: ErrorReport) -> None:
        fields = ("Content-Type: application/json", f"Lambda-Runtime-Function-Error-Type: {failure.type}")
        await self._call("POST", path, *fields, body=failure.document())

    async def _call(self, method: str, path: str, *fields: str, body: bytes = b"") -> None:
        connection, head = await self._begin_call(method, path, *fields, body=body)
        try:
            await _read(connection)
        except BaseException:
            connection.close()
            raise
        if not _is_success(head):
            raise RuntimeApiError(f"{method} {path}", head.status)

    async def _begin_call(
        self, method: str, path: str, *fields: str, body: bytes = b""
    ) -> tuple[Connection, ResponseHead]:
        length = () if method == "GET" else (f"Content-Length: {len(body)}",)
        connection = await self._connect()
        try:
            return connection, await connection.round_trip([self._head(method, path, *fields, *length), body])
        except BaseException:
            connection.close()
            raise

    def _head(self, method: str, path: str, *fields: str) -> bytes:
        lines = (f"{method} {VERSION}{path} HTTP/1.1", f"Host: {self._address}", *fields)
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def _connect(self) -> Connection:
        connection = self._connection
        if connection is None or not connection.is_reusable() or connection.has_unread_input():
            self.close()
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, self._host, self._port)
            self._connection = connection
        return connection


PRELUDE_END = bytes(8)
"""Divides the prelude from the body ("Lambda proxy integration with response streaming")."""

_FIELDS = (
    b"Content-Type: application/vnd.awslambda.http-integration-response\r\n"
    b"Lambda-Runtime-Function-Response-Mode: streaming\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n"
)


class StreamedResponse:
    """Sends a body as it comes ("Response streaming"); each call raises ConnectionError once the client is gone.

    ``begun``: the prelude was sent; ``complete``: everything was sent and accepted; ``gone``: the rest can reach no
    client; ``rejected_status``: the status by which the Runtime API rejected the response, None otherwise.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], request_head: bytes) -> None:
        """``request_head`` has the request line and Host, and ends in an empty line."""
        self._connect = connect
        self._head = request_head.removesuffix(b"\r\n") + _FIELDS
        self._connection: Connection | None = None
        self._ending = False
        self.complete = False
        self.rejected_status: int | None = None
        self.gone = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether it is too late for an error report: a failure from now on goes into the trailers."""
        return self._connection is not None

    async def begin(self, prelude: bytes) -> None:
        """Send the prelude, JSON, and its end; without a body too, for API Gateway waits for both."""
        self._connection = await self._connect()
        self._connection.begin(on_over=self._on_over)
        await self._send(self._head, *_chunk(prelude + PRELUDE_END))

    async def send(self, data: bytes) -> None:
        """Send some of the body at once."""
        if data:
            await self._send(*_chunk(data))

    async def end(self) -> None:
        """Send the end of the body and wait until the Runtime API has accepted all of it."""
        await self._finish(b"0\r\n\r\n")

    async def fail(self, failure: ErrorReport) -> None:
        """End the body as incomplete, with the failure in the trailers."""
        await self._finish(b"0\r\n%b\r\n" % failure.trailers())

    def close(self) -> None:
        """Release the connection; a response that is cut short closes it."""
        if self._connection is not None and not self.complete:
            self._connection.close()

    async def _send(self, *pieces: bytes) -> None:
        if self._connection is None or self.gone.is_set():
            raise ConnectionResetError("the client of this response is gone")
        self._connection.write(*pieces)
        await self._connection.drain()

    async def _finish(self, last: bytes) -> None:
        self._ending = True
        await self._send(last)
        if self._connection is not None:
            self._note_status(await self._connection.head())
            await _read(self._connection)
        if self.rejected_status is not None:
            raise ConnectionAbortedError("the Runtime API rejected this response")
        self.complete = True

    def _note_status(self, head: ResponseHead) -> None:
        self.rejected_status = None if _is_success(head) else head.status

    def _on_over(self, head: ResponseHead | None) -> None:
        """Note if the Runtime API responded, or closed the connection, before the end of the body was sent."""
        if self._ending:
            return
        if head is not None:
            self._note_status(head)
        self.gone.set()


async def _read(connection: Connection) -> bytes:
    return b"".join([chunk async for chunk in connection.body()])


def _content_length(head: ResponseHead) -> int:
    lengths = [int(value) for name, value in head.headers if name.lower() == b"content-length" and value.isdigit()]
    return lengths[0] if lengths else 0


def _is_success(head: ResponseHead) -> bool:
    return 200 <= head.status < 300


def _chunk(data: bytes) -> tuple[bytes, bytes, bytes]:
    return b"%x\r\n" % len(data), data, b"\r\n"
