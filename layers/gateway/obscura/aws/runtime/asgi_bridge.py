"""One invocation as an ASGI request: the event becomes a scope, ASGI's messages become a streamed response."""

import asyncio
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import msgspec
from mangum.handlers import APIGateway, HTTPGateway
from mangum.types import LambdaConfig, LambdaContext
from starlette.types import ASGIApp, Message, Scope

from obscura.aws.api_gateway import normalize_event
from obscura.aws.runtime.api import Invocation, StreamedResponse
from obscura.aws.runtime.error_report import ErrorReport, UnknownEvent, error_report


@dataclass(frozen=True, slots=True)
class InvocationContext:
    """The context object ("AWS Lambda context object in Python"), attribute by attribute.

    ``identity`` and ``client_context`` are the Mobile SDK's, which API Gateway never sends.
    """

    aws_request_id: str
    invoked_function_arn: str
    deadline_ms: int
    function_name: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
    function_version: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""))
    memory_limit_in_mb: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ""))
    log_group_name: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", ""))
    log_stream_name: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""))
    xray_trace_id: str | None = None
    identity: None = None
    client_context: None = None

    @classmethod
    def from_invocation(cls, invocation: Invocation) -> "InvocationContext":
        """Make the context of an invocation."""
        return cls(
            invocation.request_id,
            invocation.function_arn,
            invocation.deadline_ms,
            xray_trace_id=invocation.trace_id,
        )

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation, 0 once they are over."""
        return max(0, self.deadline_ms - int(time.time() * 1000))


_CONFIG = LambdaConfig(api_gateway_base_path="/", text_mime_types=[], exclude_headers=[])


@dataclass(frozen=True, slots=True)
class EventScope:
    """An HTTP request as ASGI has it: its scope, and its body, which Lambda always passes whole."""

    scope: Scope
    body: bytes


def scope_from_event(invocation: Invocation) -> EventScope:
    """Decode an invocation's event; raises UnknownEvent if it is no HTTP request."""
    event = normalize_event(msgspec.json.decode(invocation.event, type=dict[str, object]))
    # Mangum's protocol has attributes that can be set; a context is frozen, and Mangum sets none.
    context = cast("LambdaContext", InvocationContext.from_invocation(invocation))
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
    """Return the body; one that is not base64, though its event says so, is left to the application to reject."""
    try:
        return handler.body
    except ValueError:
        return str(handler.event["body"]).encode()


class Prelude(msgspec.Struct, omit_defaults=True, rename="camel"):
    """API Gateway's developer guide, "Lambda proxy integration with response streaming"."""

    status_code: int
    headers: dict[str, str]
    multi_value_headers: dict[str, list[str]] = {}
    cookies: list[str] = []


def encode_prelude(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Encode the prelude for ASGI's status and headers; a header that comes twice keeps all its values."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    cookies = values.pop("set-cookie", [])
    single = {name: listed[0] for name, listed in values.items() if len(listed) == 1}
    several = {name: listed for name, listed in values.items() if len(listed) > 1}
    return msgspec.json.encode(Prelude(status, single, several, cookies))


_NO_RESPONSE = ErrorReport("Function.NoAnswer", "The application ended without a response.")


class AsgiBridge:
    """ASGI's ``receive`` and ``send`` for one request; a client who leaves is an ``http.disconnect``."""

    def __init__(self, body: bytes, response: StreamedResponse) -> None:
        """``body`` is whole: Lambda does not stream requests."""
        self._body: bytes | None = body
        self._response = response

    async def serve(self, app: ASGIApp, scope: Scope) -> ErrorReport | None:
        """Run ``app``; returns what went wrong if the response is incomplete and its client is still there."""
        serving = asyncio.create_task(self._run(app, scope))  # of its own: what cancels it must not end the environment
        await asyncio.wait({serving})
        if self._response.complete or self._response.gone.is_set():
            return None
        if serving.cancelled():
            return ErrorReport("Function.Cancelled", "The request was cancelled.")
        return serving.result()

    async def _run(self, app: ASGIApp, scope: Scope) -> ErrorReport:
        try:
            await app(scope, self._receive, self._send)
        except (Exception, SystemExit) as fault:  # one request that exits must not end those beside it
            return error_report(fault)
        return _NO_RESPONSE

    async def _receive(self) -> Message:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._response.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        """Send a message on; once the client is gone it is dropped (ASGI specification, "Send after disconnect")."""
        try:
            if message["type"] == "http.response.start":
                await self._response.begin(encode_prelude(message["status"], message["headers"]))
                return
            await self._response.send(message.get("body", b""))
            if not message.get("more_body", False):
                await self._response.end()
        except ConnectionError:
            self._response.gone.set()
