"""The Runtime API's calls, over one connection that lasts from invocation to invocation."""

import asyncio

from obscura.aws.runtime.asgi_bridge import Invocation
from obscura.aws.runtime.connection import ApiResponse, Connection
from obscura.aws.runtime.error_report import ErrorReport
from obscura.aws.runtime.response import StreamedResponse

VERSION = "/2018-06-01/runtime"


class RuntimeApiError(Exception):
    """The Runtime API refused a call."""

    def __init__(self, call: str, status: int) -> None:
        super().__init__(f"{call} was answered with status {status}")
        self.status = status


class RuntimeApi:
    """The Runtime API at ``address``, the value of ``AWS_LAMBDA_RUNTIME_API``; one exchange at a time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._connection: Connection | None = None

    async def next_invocation(self) -> Invocation:
        """Wait for the next invocation, for days if need be; raises ConnectionError or RuntimeApiError."""
        try:
            answer = await self._call("GET", "/invocation/next")
        except ConnectionError:
            # The connection of the last exchange may have been closed behind it; a fresh one tells.
            answer = await self._call("GET", "/invocation/next")
        return Invocation.of(answer.headers, answer.body)

    def response(self, request_id: str) -> StreamedResponse:
        """Return the response to an invocation; it takes the connection with its first byte."""
        return StreamedResponse(self._connected, self._head("POST", f"/invocation/{request_id}/response"))

    async def report_failure(self, request_id: str, failure: ErrorReport) -> None:
        """Tell that an invocation failed before its response began."""
        await self._report(f"/invocation/{request_id}/error", failure)

    async def report_init_failure(self, failure: ErrorReport) -> None:
        """Tell that the function cannot start; the process must end then."""
        await self._report("/init/error", failure)

    async def restore_next(self) -> None:
        """Let the snapshot be taken: this returns in each environment that is restored from it, unconnected."""
        await self._call("GET", "/restore/next")
        self.close()

    async def report_restore_failure(self, failure: ErrorReport) -> None:
        """Tell that a hook failed after the restore; the process must end then."""
        await self._report("/restore/error", failure)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _report(self, path: str, failure: ErrorReport) -> None:
        fields = ("Content-Type: application/json", f"Lambda-Runtime-Function-Error-Type: {failure.type}")
        await self._call("POST", path, *fields, body=failure.document())

    async def _call(self, method: str, path: str, *fields: str, body: bytes = b"") -> ApiResponse:
        length = () if method == "GET" else (f"Content-Length: {len(body)}",)
        connection = await self._connected()
        try:
            await connection.send(self._head(method, path, *fields, *length), body)
            answer = await connection.answer()
        except BaseException:
            connection.close()
            raise
        if not 200 <= answer.status < 300:
            raise RuntimeApiError(f"{method} {path}", answer.status)
        return answer

    def _head(self, method: str, path: str, *fields: str) -> bytes:
        lines = (f"{method} {VERSION}{path} HTTP/1.1", f"Host: {self._address}", *fields)
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def _connected(self) -> Connection:
        if self._connection is None or not self._connection.is_reusable():
            self.close()
            loop = asyncio.get_running_loop()
            _, self._connection = await loop.create_connection(Connection, self._host, self._port)
        self._connection.begin_exchange()
        return self._connection
