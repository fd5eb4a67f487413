"""The ASGI end of the road: one endpoint a dialect, with nothing of a framework between it and the socket."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.types import Receive, Scope, Send

from obscura.errors import InternalError, ObscuraError
from obscura.pipeline.gateway import Gateway
from obscura.pipeline.journal import RequestJournal
from obscura.pipeline.request import Answer, CallerGone, InboundRequest, StreamedBody
from obscura.pipeline.road import answer
from obscura.web.caller_connection import CallerConnection
from obscura.web.knocking import client_address, headers_of
from obscura.web.request_log import JOURNAL, log_fault
from obscura.wire.dialect import Ask, Dialect

CALLER_CLOSED_REQUEST = 499


type Road[A: Ask] = Callable[[InboundRequest, Dialect[A], Gateway], AbstractAsyncContextManager[Answer]]


class RoadEndpoint[A: Ask]:
    """Serves the requests of one dialect: the answer, or an error in the dialect's shape, or a stream ended by one."""

    def __init__(self, dialect: Dialect[A], road: Road[A] = answer) -> None:
        """``dialect`` decides what is read and how answers and errors look; ``road``, where a request goes."""
        self._dialect = dialect
        self._road = road

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the gateway is the application's."""
        journal: RequestJournal = scope[JOURNAL]
        journal.dialect = self._dialect.name
        connection = CallerConnection(receive)
        outlet = _Outlet(send, self._dialect, journal)
        state = scope["app"].state
        address = client_address(scope, state.trusted_proxies)
        request = InboundRequest(headers_of(scope), connection, journal, address)
        try:
            async with self._road(request, self._dialect, state.gateway) as told:
                await outlet.send_answer(told)
        except ObscuraError as error:
            await outlet.send_error(error)
        except CallerGone:
            journal.status = CALLER_CLOSED_REQUEST
        except asyncio.CancelledError:
            if not connection.absorb_cancellation():
                raise
            journal.status = CALLER_CLOSED_REQUEST
        except Exception as fault:
            log_fault(fault, journal.request_id)
            await outlet.send_error(InternalError("Something went wrong inside Obscura. Quote the request id."))
        finally:
            connection.stop_watching()


class _Outlet:
    """Where an answer leaves: it knows whether a stream has begun."""

    def __init__(self, send: Send, dialect: Dialect, journal: RequestJournal) -> None:
        self._send = send
        self._dialect = dialect
        self._journal = journal
        self._begun: StreamedBody | None = None
        self._last_sent = b"\n\n"

    async def send_answer(self, told: Answer) -> None:
        if isinstance(told.body, bytes):
            await self._send_whole(told.status, told.content_type, told.body, told.headers)
        else:
            await self._send_stream(told, told.body)

    async def send_error(self, error: ObscuraError) -> None:
        """Answer with an error; one that comes after a stream has begun becomes the stream's last event."""
        self._journal.code = error.code
        if self._begun:
            unfinished = b"" if self._last_sent.endswith(b"\n\n") else b"\n\n"
            event = self._begun.fail(error, self._journal.request_id)
            await self._send({"type": "http.response.body", "body": unfinished + event, "more_body": False})
            return
        body = self._dialect.render_error(error, self._journal.request_id)
        await self._send_whole(error.answer_status, "application/json", body, error_headers(error))

    async def _send_whole(self, status: int, content_type: str, body: bytes, headers: dict[str, str]) -> None:
        await self._send_head(status, content_type, {**headers, "content-length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _send_stream(self, told: Answer, body: StreamedBody) -> None:
        await self._send_head(told.status, told.content_type, told.headers)
        self._begun = body
        async for chunk in body.chunks:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._last_sent = chunk
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_head(self, status: int, content_type: str, headers: dict[str, str]) -> None:
        named = {"content-type": content_type, **headers, **self._dialect.answer_headers(self._journal.request_id)}
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


def error_headers(error: ObscuraError) -> dict[str, str]:
    """Give the headers that belong to an error."""
    retry = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return error.headers | retry
