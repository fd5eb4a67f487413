"""CORS: which pages of other origins may call the gateway (Fetch Standard, "CORS protocol"; ADR 111).

A preflight is answered before anything else, on every path, known or not: it carries no credential and costs no quota.
"""

import re
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from obscura.access_record import AccessRecord
from obscura.api.access_log import ACCESS_RECORD
from obscura.dialects.errors import openai_error
from obscura.errors import PermissionDenied

type Headers = list[tuple[bytes, bytes]]

ANY_ORIGIN = "*"
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
MAX_AGE_S = 7200
"""How long a browser may keep a preflight's response; Chromium's own bound."""

EXPOSED_HEADERS = (
    "x-request-id",
    "request-id",
    "x-image-tokens",
    "x-token-estimate",
    "x-unmoderated",
    "x-zero-retention",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "x-policy-decision",
    "x-policy-mode",
    "x-policy-id",
    "x-policy-version",
    "x-policy-checks-failed",
    "x-should-retry",
    "x-upstream-request-id",
    "x-obscura-described-by",
    "x-obscura-upstream",
    "openai-processing-ms",
    "retry-after-ms",
    "retry-after",
    "allow",
    "content-disposition",
)
"""Response headers that a page of another origin may read, beside those that the Fetch Standard shows to all."""

_EXPOSED = (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode())
_ORIGIN_LINE = re.compile(rb"(?:^|\n)origin:[ \t]*([^\r\n]*?)[ \t]*(?=\r|\n|$)", re.IGNORECASE)
_FIELD_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, \t-]{1,4096}")
_DENIED = (
    "Pages of this origin may not call this gateway. OBSCURA_CORS_ORIGINS lists the origins that may, "
    "with scheme, host and port as the browser sends them."
)


class CrossOrigin:
    """ASGI middleware: answers preflights, and adds the CORS headers to every response, errors included.

    Listed origins may send credentials, such as the cookies of a proxy before the gateway; with ``*`` none are allowed.
    A request of an origin that is not listed is served without the headers: the browser hides the response from it.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str], logged: Callable[[ASGIApp], ASGIApp]) -> None:
        """``logged`` puts the access log around an application."""
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)
        self._any = ANY_ORIGIN in origins
        self._preflight = logged(self._answer_preflight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        sent = dict(scope["headers"])
        origin = sent.get(b"origin")
        headers = self._headers(origin)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        is_preflight = scope["method"] == "OPTIONS" and origin is not None and b"access-control-request-method" in sent
        await (self._preflight if is_preflight else self._app)(scope, receive, send_with_headers)

    def refusal_headers(self, head: bytes) -> dict[str, str]:
        """Return the headers of the response to a head that is no valid HTTP, or not whole, by its only ``Origin``."""
        origins = _ORIGIN_LINE.findall(head)
        headers = self._headers(origins[0] if len(origins) == 1 else None)
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}

    def _allows(self, origin: bytes | None) -> bool:
        return self._any or origin in self._origins

    def _headers(self, origin: bytes | None) -> Headers:
        """Return the headers of a response; with ``*`` the same for all origins, so that caches may keep one."""
        if self._any:
            return [(b"access-control-allow-origin", b"*"), _EXPOSED]
        vary = (b"vary", b"origin")
        if origin is None or not self._allows(origin):
            return [vary]
        allowed = (b"access-control-allow-origin", origin), (b"access-control-allow-credentials", b"true")
        return [*allowed, _EXPOSED, vary]

    async def _answer_preflight(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with 204 and what may be sent, or with 403 for an origin that is not listed."""
        sent = dict(scope["headers"])
        record: AccessRecord = scope[ACCESS_RECORD]
        if self._allows(sent[b"origin"]):
            status, body, headers = 204, b"", _preflight_headers(sent.get(b"access-control-request-headers", b""))
        else:
            error = PermissionDenied(_DENIED)
            record.code = error.code
            status, body = error.status, openai_error(error)
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _preflight_headers(requested: bytes) -> Headers:
    """Return what may be sent: any method, and the headers that were asked for; which of them count is not CORS's.

    ``*`` would not cover ``authorization`` (Fetch Standard, "CORS non-wildcard request-header name").
    """
    headers = [
        (b"access-control-allow-methods", METHODS),
        (b"access-control-max-age", b"%d" % MAX_AGE_S),
        (b"vary", b"access-control-request-headers"),
    ]
    if _FIELD_NAMES.fullmatch(requested):
        headers.append((b"access-control-allow-headers", requested))
    return headers
