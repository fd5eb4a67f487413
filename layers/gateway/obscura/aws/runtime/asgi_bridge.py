"""One invocation as the Runtime API hands it over, and the context object that handlers get."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import msgspec
from mangum.handlers import APIGateway, HTTPGateway
from mangum.types import LambdaConfig, LambdaContext
from starlette.types import ASGIApp, Message, Scope

from obscura.aws.api_gateway import normalize_event
from obscura.aws.runtime.error_report import ErrorReport, UnknownEvent, error_report
from obscura.aws.runtime.response import StreamedResponse, write_prelude


@dataclass(frozen=True, slots=True)
class Invocation:
    """An event, JSON not yet read, and what the headers of "Next invocation" say of it."""

    request_id: str
    deadline_ms: int
    function_arn: str
    trace_id: str | None
    event: bytes

    @classmethod
    def of(cls, headers: Mapping[str, str], event: bytes) -> "Invocation":
        """Read the headers, whose names are in lower case."""
        return cls(
            request_id=headers["lambda-runtime-aws-request-id"],
            deadline_ms=int(headers["lambda-runtime-deadline-ms"]),
            function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
            trace_id=headers.get("lambda-runtime-trace-id"),
            event=event,
        )


@dataclass(frozen=True, slots=True)
class InvocationContext:
    """The context object ("AWS Lambda context object in Python"), attribute by attribute.

    ``identity`` and ``client_context`` are the Mobile SDK's, which no API Gateway sends.
    """

    aws_request_id: str
    invoked_function_arn: str
    deadline_ms: int
    function_name: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
    function_version: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""))
    memory_limit_in_mb: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ""))
    log_group_name: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", ""))
    log_stream_name: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""))
    identity: None = None
    client_context: None = None

    @classmethod
    def of(cls, invocation: Invocation) -> "InvocationContext":
        """Make the context of an invocation."""
        return cls(invocation.request_id, invocation.function_arn, invocation.deadline_ms)

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation, 0 once they are over."""
        return max(0, self.deadline_ms - int(time.time() * 1000))


_CONFIG = LambdaConfig(api_gateway_base_path="/", text_mime_types=[], exclude_headers=[])


@dataclass(frozen=True, slots=True)
class EventScope:
    """A request as ASGI has it: its scope, and its body, which Lambda always gives whole."""

    scope: Scope
    body: bytes


def scope_from_event(invocation: Invocation) -> EventScope:
    """Open an invocation's event; raises UnknownEvent when it is no HTTP request."""
    event = normalize_event(msgspec.json.decode(invocation.event, type=dict[str, object]))
    # Mangum's protocol has attributes that can be set; a context is frozen, and Mangum sets none.
    context = cast("LambdaContext", InvocationContext.of(invocation))
    kind = next((kind for kind in (HTTPGateway, APIGateway) if kind.infer(event, context, _CONFIG)), None)
    if kind is None:
        raise UnknownEvent("The event is neither API Gateway's nor a function URL's. events/ has one of each family.")
    handler = kind(event, context, _CONFIG)
    body = _event_body(handler)
    event["body"] = None  # the scope holds the event as long as the request lasts: 6 MB twice is enough
    scope = handler.scope
    headers = [header for header in scope["headers"] if header[0] != b"content-length"]
    scope["headers"] = [*headers, [b"content-length", b"%d" % len(body)]]
    return EventScope(scope, body)


def _event_body(handler: HTTPGateway | APIGateway) -> bytes:
    """Return the body; what is not the base64 that its event says is left to the application to refuse."""
    try:
        return handler.body
    except ValueError:
        return str(handler.event["body"]).encode()


_NO_RESPONSE = ErrorReport("Function.NoAnswer", "The application ended without an answer.")


class AsgiBridge:
    """The two ends of one request; a caller who leaves is an ``http.disconnect``, as with any other server."""

    def __init__(self, body: bytes, response: StreamedResponse) -> None:
        """``body`` is whole: Lambda does not stream requests."""
        self._body: bytes | None = body
        self._response = response

    async def serve(self, app: ASGIApp, scope: Scope) -> ErrorReport | None:
        """Let ``app`` answer; gives what went wrong when it leaves the answer unfinished to somebody who waits."""
        serving = asyncio.create_task(self._run(app, scope))  # of its own: what cancels it must not end the environment
        await asyncio.wait({serving})
        if self._response.complete or self._response.gone.is_set():
            return None
        return (
            ErrorReport("Function.Cancelled", "The request was cancelled.") if serving.cancelled() else serving.result()
        )

    async def _run(self, app: ASGIApp, scope: Scope) -> ErrorReport:
        try:
            await app(scope, self._receive, self._send)
        except Exception as fault:
            return error_report(fault)
        return _NO_RESPONSE

    async def _receive(self) -> Message:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._response.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        """Pass a message on; what nobody takes any more is dropped (ASGI specification, "Send after disconnect")."""
        try:
            if message["type"] == "http.response.start":
                await self._response.begin(write_prelude(message["status"], message["headers"]))
                return
            await self._response.send(message.get("body", b""))
            if not message.get("more_body", False):
                await self._response.end()
        except ConnectionError:
            self._response.gone.set()
