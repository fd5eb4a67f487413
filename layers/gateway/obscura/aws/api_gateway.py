"""API Gateway's events, where Mangum's handlers trip over one or lose what it says."""

import asyncio
from collections.abc import Iterable, Mapping

from mangum.types import LambdaEvent
from starlette.types import ASGIApp, Receive, Scope, Send

from obscura.api.deadline import DEADLINE, RequestDeadline

type Headers = Iterable[tuple[bytes, bytes]]

_PORT = "x-forwarded-port"


def normalize_event(event: LambdaEvent) -> LambdaEvent:
    """Return an HTTP event as Mangum can open it, and any other as it is.

    What a test's event leaves out is empty instead of null. The port goes: nobody asks for it, and who sends a second
    one would make it unreadable.
    """
    if "requestContext" not in event:
        return event
    context = event["requestContext"] or {}
    headers = {kind: _without_port(event[kind]) for kind in ("headers", "multiValueHeaders") if kind in event}
    return event | headers | {"requestContext": context | {"identity": context.get("identity") or {}}}


def split_multi_value_headers(headers: Headers, event: LambdaEvent) -> list[tuple[bytes, bytes]]:
    """Return a header that came several times a line for each, as every HTTP server does; Mangum makes one of them."""
    listed: Mapping[str, list[str] | None] = event.get("multiValueHeaders") or {}
    sent = {name.lower().encode(): values for name, values in listed.items() if values and len(values) > 1}
    lines: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        lines += [(name, one.encode()) for one in sent[name]] if name in sent else [(name, value)]
    return lines


def strip_base_path(path: str, resource: str) -> str:
    """Return the path below the API: without a custom domain's base path, and without a slash at its end.

    ``resource`` is the template that API Gateway matched (``/v1/models/{model_id+}``): what stands before it is the
    domain's. API Gateway takes paths with a slash at the end for the same resource; a redirect would lose the stage.
    """
    bare = path.rstrip("/") or "/"
    fixed, variable, _ = resource.partition("{")
    if not variable:
        return resource if resource != "/" and bare.endswith(resource) else bare
    _, found, rest = path.partition(fixed)
    return (found + rest).rstrip("/") if found and rest else bare


def _without_port(headers: Mapping[str, object] | None) -> dict[str, object]:
    return {name: value for name, value in (headers or {}).items() if name.lower() != _PORT}


DEADLINE_MARGIN_S = 0.5
"""How long before the function's time is up its answer ends by itself: the error event must still get out."""


class LambdaScopeMiddleware:
    """ASGI middleware: puts the door in the scope, from the event and the context that Mangum's handlers left there.

    And says in full what these handlers say of the request in part.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        event, context = scope["aws.event"], scope["aws.context"]
        left_s = context.get_remaining_time_in_millis() / 1000 - DEADLINE_MARGIN_S
        expires_at_s = asyncio.get_running_loop().time() + left_s
        scope[DEADLINE] = RequestDeadline(
            expires_at_s, event["requestContext"].get("requestId"), context.aws_request_id
        )
        scope["headers"] = split_multi_value_headers(scope["headers"], event)
        scope["path"] = strip_base_path(scope["path"], event.get("resource") or "/")
        if not scope["client"][0]:
            scope["client"] = None
        await self._app(scope, receive, send)
