"""API Gateway's events: corrected before Mangum reads them, and after it the ASGI scope."""

import asyncio
import re
from collections.abc import Iterable, Mapping

from mangum.types import LambdaEvent
from starlette.types import ASGIApp, Receive, Scope, Send

from obscura.api.deadline import DEADLINE, RequestDeadline
from obscura.api.request_path import decode_path

type Headers = Iterable[tuple[bytes, bytes]]

DEADLINE_MARGIN_S = 0.5
"""How long before the function's timeout a response ends by itself, so that its error event is still sent (ADR 52)."""

_FORWARDED_PORT = "x-forwarded-port"
_HOST = re.compile(r"[^:,]*(?::[0-9]{1,5})?")


class LambdaScopeMiddleware:
    """ASGI middleware: puts the request's deadline into the scope and corrects its headers and path.

    Mangum's handlers leave the event and the context in the scope.
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
        scope["path"] = strip_base_path(decode_path(_raw_path(event)), event.get("resource") or "/")
        if not scope["client"][0]:
            scope["client"] = None
        await self._app(scope, receive, send)


def normalize_event(event: LambdaEvent) -> LambdaEvent:
    """Return an HTTP event in the form that Mangum can read, and any other event unchanged.

    Members that an event written by hand leaves out or null become empty. X-Forwarded-Port is dropped, and a Host that
    comes twice or is none: nothing reads them, and they would make Mangum fail.
    """
    if "requestContext" not in event:
        return event
    context = event["requestContext"] or {}
    headers = {kind: _readable(event[kind]) for kind in ("headers", "multiValueHeaders") if kind in event}
    return event | headers | {"requestContext": context | {"identity": context.get("identity") or {}}}


def split_multi_value_headers(headers: Headers, event: LambdaEvent) -> list[tuple[bytes, bytes]]:
    """Return a header that came several times as several headers, as every HTTP server does; Mangum joins them."""
    listed: Mapping[str, list[str] | None] = event.get("multiValueHeaders") or {}
    by_name: dict[bytes, list[str]] = {}
    for spelling, values in listed.items():
        by_name.setdefault(spelling.lower().encode(), []).extend(values or ())
    repeated = {name: values for name, values in by_name.items() if len(values) > 1}
    split: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        split += [(name, one.encode()) for one in repeated[name]] if name in repeated else [(name, value)]
    return split


def strip_base_path(path: str, resource: str) -> str:
    """Return the path below the API: without a custom domain's base path, and without a slash at its end.

    ``resource`` is the template that API Gateway matched (``/v1/models/{model_id+}``): anything before it in the path
    is the domain's. API Gateway takes paths with a slash at the end for the same resource; a redirect would lose the
    stage.
    """
    bare = path.rstrip("/") or "/"
    fixed, variable, _ = resource.partition("{")
    if not variable:
        return resource if resource != "/" and bare.endswith(resource) else bare
    _, separator, rest = path.partition(fixed)
    return (separator + rest).rstrip("/") if separator and rest else bare


def _raw_path(event: LambdaEvent) -> str:
    """Return the path as Mangum finds it, but not yet decoded."""
    path = event["requestContext"]["http"]["path"] if event.get("version") == "2.0" else event.get("path")
    return path or "/"


def _readable(headers: Mapping[str, object] | None) -> dict[str, object]:
    return {name: value for name, value in (headers or {}).items() if _is_readable(name.lower(), value)}


def _is_readable(name: str, value: object) -> bool:
    if name == "host":
        single = value[0] if isinstance(value, list) and len(value) == 1 else value
        return isinstance(single, str) and _HOST.fullmatch(single) is not None
    return name != _FORWARDED_PORT
