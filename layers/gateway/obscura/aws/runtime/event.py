"""An event of API Gateway or of a function URL, opened as an ASGI request by Mangum's own handlers."""

from dataclasses import dataclass
from typing import cast

import msgspec
from mangum.handlers import APIGateway, HTTPGateway
from mangum.types import LambdaConfig, LambdaContext
from starlette.types import Scope

from obscura.aws.rest_event import without_pitfalls
from obscura.aws.runtime.failure import UnknownEvent
from obscura.aws.runtime.invocation import Invocation, InvocationContext

_CONFIG = LambdaConfig(api_gateway_base_path="/", text_mime_types=[], exclude_headers=[])


@dataclass(frozen=True, slots=True)
class OpenedEvent:
    """A request as ASGI has it: its scope, and its body, which Lambda always gives whole."""

    scope: Scope
    body: bytes


def open_event(invocation: Invocation) -> OpenedEvent:
    """Open an invocation's event; raises UnknownEvent when it is no HTTP request."""
    event = without_pitfalls(msgspec.json.decode(invocation.event, type=dict[str, object]))
    # Mangum's protocol has attributes that can be set; a context is frozen, and Mangum sets none.
    context = cast("LambdaContext", InvocationContext.of(invocation))
    kind = next((kind for kind in (HTTPGateway, APIGateway) if kind.infer(event, context, _CONFIG)), None)
    if kind is None:
        raise UnknownEvent("The event is neither API Gateway's nor a function URL's. events/ has one of each family.")
    handler = kind(event, context, _CONFIG)
    body = _body(handler)
    event["body"] = None  # the scope holds the event as long as the request lasts: 6 MB twice is enough
    scope = handler.scope
    headers = [header for header in scope["headers"] if header[0] != b"content-length"]
    scope["headers"] = [*headers, [b"content-length", b"%d" % len(body)]]
    return OpenedEvent(scope, body)


def _body(handler: HTTPGateway | APIGateway) -> bytes:
    """Give the body; what is not the base64 that its event says is left to the application to refuse."""
    try:
        return handler.body
    except ValueError:
        return str(handler.event["body"]).encode()
