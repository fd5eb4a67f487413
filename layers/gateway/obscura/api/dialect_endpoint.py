"""The ASGI end of the road: one endpoint a dialect, with nothing of a framework between it and the socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from starlette.types import Receive, Scope, Send

from obscura.access_record import AccessRecord
from obscura.api.access_log import ACCESS_RECORD, log_exception
from obscura.api.client_address import client_address, headers_of
from obscura.api.deadline import deadline_of, enforce_deadline
from obscura.dialects.base import CallerDialect, ParsedRequest
from obscura.errors import ClientDisconnected, InternalError, ObscuraError
from obscura.pipeline.handle import handle_request
from obscura.pipeline.request import GatewayRequest, GatewayResponse, StreamingBody
from obscura.pipeline.services import Services

CLIENT_CLOSED_REQUEST = 499


type Handler[A: ParsedRequest] = Callable[
    [GatewayRequest, CallerDialect[A], Services], AbstractAsyncContextManager[GatewayResponse]
]


class DialectEndpoint[A: ParsedRequest]:
    """Serves the requests of one dialect: the answer, or an error in the dialect's shape, or a stream ended by one."""

    def __init__(self, dialect: CallerDialect[A], road: Handler[A] = handle_request) -> None:
        """``dialect`` decides what is read and how answers and errors look; ``road``, where a request goes."""
        self._dialect = dialect
        self._road = road

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the gateway is the application's."""
        record: AccessRecord = scope[ACCESS_RECORD]
        record.dialect = self._dialect.name
        connection = ClientConnection(receive)
        outlet = _ResponseWriter(send, self._dialect, record)
        state = scope["app"].state
        address = client_address(scope, state.trusted_proxies)
        request = GatewayRequest(headers_of(scope), connection, record, address)
        try:
            async with enforce_deadline(deadline_of(scope)), self._road(request, self._dialect, state.gateway) as told:
                await outlet.send_answer(told)
        except ObscuraError as error:
            await outlet.send_error(error)
        except ClientDisconnected:
            record.status = CLIENT_CLOSED_REQUEST
        except asyncio.CancelledError:
            if not connection.swallow_disconnect():
                raise
            record.status = CLIENT_CLOSED_REQUEST
        except Exception as fault:
            log_exception(fault, record.request_id)
            await outlet.send_error(InternalError("Something went wrong inside Obscura. Quote the request id."))
        finally:
            connection.stop_watching()


class _ResponseWriter:
    """Where an answer leaves: it knows whether a stream has begun."""

    def __init__(self, send: Send, dialect: CallerDialect, record: AccessRecord) -> None:
        self._send = send
        self._dialect = dialect
        self._journal = record
        self._begun: StreamingBody | None = None
        self._last_sent = b"\n\n"

    async def send_answer(self, response: GatewayResponse) -> None:
        if isinstance(response.body, bytes):
            await self._send_whole(response.status, response.content_type, response.body, response.headers)
        else:
            await self._send_stream(response, response.body)

    async def send_error(self, error: ObscuraError) -> None:
        """Answer with an error; one that comes after a stream has begun becomes the stream's last event."""
        self._journal.code = error.code
        if self._begun:
            unfinished = b"" if self._last_sent.endswith(b"\n\n") else b"\n\n"
            event = self._begun.fail(error, self._journal.request_id)
            await self._send({"type": "http.response.body", "body": unfinished + event, "more_body": False})
            return
        body = self._dialect.render_error(error, self._journal.request_id)
        await self._send_whole(error.response_status, "application/json", body, error_headers(error))

    async def _send_whole(self, status: int, content_type: str, body: bytes, headers: dict[str, str]) -> None:
        await self._send_head(status, content_type, {**headers, "content-length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _send_stream(self, response: GatewayResponse, body: StreamingBody) -> None:
        await self._send_head(response.status, response.content_type, response.headers)
        self._begun = body
        async for chunk in body.chunks:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._last_sent = chunk
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_head(self, status: int, content_type: str, headers: dict[str, str]) -> None:
        named = {"content-type": content_type, **headers, **self._dialect.response_headers(self._journal.request_id)}
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


def error_headers(error: ObscuraError) -> dict[str, str]:
    """Return the headers that belong to an error."""
    retry = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return error.headers | retry


class ClientConnection:
    """One ASGI request's receiving side. Once the body is read, a caller who leaves cancels the task that serves."""

    def __init__(self, receive: Receive) -> None:
        """Made in the task that serves the request."""
        self._receive = receive
        self._serving = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's pieces; raises ClientDisconnected when the connection closes before its end."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.gone = True
                raise ClientDisconnected
            more = message.get("more_body", False)
            if not more:
                self._watcher = asyncio.create_task(self._watch())
            if body := message.get("body", b""):
                yield body

    def stop_watching(self) -> None:
        """Let the caller go from now on: the answer is complete."""
        if self._watcher is not None:
            self._watcher.cancel()

    def swallow_disconnect(self) -> bool:
        """Whether a cancellation was this watcher's doing; if so it is undone, and the task may end in peace."""
        if self.gone and self._serving is not None:
            self._serving.uncancel()
        return self.gone

    async def _watch(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._serving is not None:
            self.gone = True
            self._serving.cancel()
