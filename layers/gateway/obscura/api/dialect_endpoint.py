"""The endpoint of a caller dialect: plain ASGI, since no framework may hold a body of 35 MB."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.types import Receive, Scope, Send

from obscura.access_record import AccessRecord
from obscura.api.access_log import ACCESS_RECORD, log_exception
from obscura.api.client_address import client_address, headers_of
from obscura.api.deadline import deadline_of, enforce_deadline
from obscura.api.keep_alive import EventStreamWriter
from obscura.auth.access import is_false
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerApi, RequestHead
from obscura.errors import ClientDisconnected, InternalError, ObscuraError
from obscura.pipeline.handle import handle_request
from obscura.pipeline.request import GatewayRequest, GatewayResponse, StreamingBody
from obscura.pipeline.services import Services

CLIENT_CLOSED_REQUEST = 499
DRY_RUN_HEADER = "x-obscura-dry-run"
INTERNAL_ERROR = "Something went wrong inside Obscura. Quote the request id."

type Handler = Callable[[GatewayRequest, Any, Services], AbstractAsyncContextManager[GatewayResponse]]


class DialectEndpoint:
    """Serves the requests of one dialect: with a response, an error in its format, or a stream that an error ends."""

    def __init__(
        self,
        dialect: CallerApi,
        handler: Handler = handle_request,
        scope: KeyScope | None = None,
        dry_run: Handler | None = None,
    ) -> None:
        """``scope`` is what its handler asks of a key, by default that of the dialect.

        ``dry_run`` takes the handler's place for ``X-Obscura-Dry-Run``; by default the inspection without a policy.
        """
        self.dialect = dialect
        self.scope = scope or KeyScope(dialect.name)
        self._handler = handler
        self._dry_run = dry_run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, with the services of the application."""
        record: AccessRecord = scope[ACCESS_RECORD]
        record.dialect = self.dialect.name
        connection = ClientConnection(receive)
        state = scope["app"].state
        writer = _ResponseWriter(send, self.dialect, record, state.keep_alive_s)
        head = RequestHead(scope["path"], scope["query_string"].decode("latin-1"), headers_of(scope))
        deadline = deadline_of(scope)
        address = client_address(scope, state.trusted_proxies)
        request = GatewayRequest(head, connection, record, address, deadline.expires_at_s)
        handler = self._handler if DRY_RUN_HEADER not in head.headers else self._handler_of(head)
        try:
            async with (
                enforce_deadline(deadline),
                handler(request, self.dialect, state.services) as response,
            ):
                await writer.send_response(response)
                # Uvicorn reports a disconnect after every complete response: what is still to be counted must be.
                connection.stop_watching()
        except ObscuraError as error:
            await writer.send_error(error)
        except ClientDisconnected:
            record.status = CLIENT_CLOSED_REQUEST
        except asyncio.CancelledError:
            if not connection.swallow_disconnect():
                raise
            record.status = CLIENT_CLOSED_REQUEST
        except Exception as exception:
            log_exception(exception, record.request_id)
            await writer.send_error(InternalError(INTERNAL_ERROR))
        finally:
            writer.close()
            connection.stop_watching()

    def _handler_of(self, head: RequestHead) -> Handler:
        """Return the handler of a request with the header; a misspelled yes must not cost a call of the model."""
        if is_false(head.headers[DRY_RUN_HEADER]):
            return self._handler
        if self._dry_run is not None:
            return self._dry_run
        from obscura.pipeline.inspection import handle_dry_run

        return handle_dry_run


class _ResponseWriter:
    """Sends a response, whole or in chunks, and errors in either."""

    def __init__(self, send: Send, dialect: CallerApi, record: AccessRecord, keep_alive_s: float) -> None:
        self._send = send
        self._dialect = dialect
        self._record = record
        self._keep_alive_s = keep_alive_s
        self._streaming: StreamingBody | None = None
        self._stream: EventStreamWriter | None = None

    async def send_response(self, response: GatewayResponse) -> None:
        """Send a response."""
        if isinstance(response.body, bytes):
            await self._send_whole(response.status, response.content_type, response.body, response.headers)
        else:
            await self._send_stream(response, response.body)

    async def send_error(self, error: ObscuraError) -> None:
        """Send an error as the response, or as the last event of a stream that has begun."""
        self._record.code = error.code
        if self._streaming and self._stream:
            unfinished = b"" if self._stream.is_between_events else b"\n\n"
            event = self._streaming.fail(error, self._record.request_id)
            await self._stream.write(unfinished + event, is_last=True)
            return
        body = self._dialect.render_error(error, self._record.request_id)
        await self._send_whole(error.response_status, "application/json", body, error_headers(error))

    async def _send_whole(self, status: int, content_type: str, body: bytes, headers: dict[str, str]) -> None:
        await self._send_head(status, content_type, headers | {"content-length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _send_stream(self, response: GatewayResponse, body: StreamingBody) -> None:
        await self._send_head(response.status, response.content_type, response.headers)
        self._streaming = body
        self._stream = stream = EventStreamWriter(self._send, self._keep_alive_s)
        async for chunk in body.chunks:
            await stream.write(chunk)
        await stream.write(b"", is_last=True)

    def close(self) -> None:
        """Send no more comments; nothing is sent after it."""
        if self._stream is not None:
            self._stream.close()

    async def _send_head(self, status: int, content_type: str, headers: dict[str, str]) -> None:
        headers = {"content-type": content_type, **headers, **self._dialect.response_headers(self._record.request_id)}
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


def error_headers(error: ObscuraError) -> dict[str, str]:
    """Return the headers of an error's response."""
    retry = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return error.headers | retry


class ClientConnection:
    """The receiving side of one ASGI request. After the body, a disconnect cancels the task that serves the request."""

    def __init__(self, receive: Receive) -> None:
        """Create it in the task that serves the request."""
        self._receive = receive
        self._serving = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._disconnected = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of the body; raises ClientDisconnected if the connection closes before its end."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._disconnected = True
                raise ClientDisconnected
            more = message.get("more_body", False)
            if not more:
                self._watcher = asyncio.create_task(self._watch())
            if body := message.get("body", b""):
                yield body

    def stop_watching(self) -> None:
        """Ignore a disconnect from now on: the response is complete."""
        if self._watcher is not None:
            self._watcher.cancel()

    def swallow_disconnect(self) -> bool:
        """Whether a cancellation came from a disconnect; if so it is undone, and the task may end normally."""
        if self._disconnected and self._serving is not None:
            self._serving.uncancel()
        return self._disconnected

    async def _watch(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._serving is not None:
            self._disconnected = True
            self._serving.cancel()
