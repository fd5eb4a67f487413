"""Which headers pass between a caller and the upstream: the one table, which docs/reference/headers.md shows (ADR 120).

Whatever is not listed here stays where it came from.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256

from obscura.errors import InvalidRequest
from obscura.upstreams.base import RawHeaders

PASSED_REQUEST_HEADERS: Mapping[str, tuple[str, ...]] = {"messages": ("anthropic-beta", "anthropic-version")}
"""What goes on to an upstream that speaks the caller's own dialect, by dialect."""

IDEMPOTENCY_KEY = "idempotency-key"
_OPENAI = ("openai-beta", IDEMPOTENCY_KEY, "openai-organization", "openai-project")
CHOSEN_REQUEST_HEADERS: Mapping[str, tuple[str, ...]] = {"chat": _OPENAI, "responses": _OPENAI, "images": _OPENAI}
"""What goes on likewise, if the operator's OBSCURA_PASS_HEADERS names it."""

CHOICES = frozenset().union(*CHOSEN_REQUEST_HEADERS.values())

NEVER_PASSED = (
    *("authorization", "x-api-key", "proxy-authorization", "cookie", "set-cookie"),
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"),
    *("host", "origin", "referer", "user-agent"),
)
"""Credentials, cookies, forwarded addresses, and what shows the caller's network: in no table, by no choice."""

PASSED_QUERY = "beta=true"
"""The one query that goes on with native Messages (Anthropic's SDKs send it with every request of ``client.beta``)."""

PASSED_RESPONSE_HEADERS: Mapping[bytes, str] = {
    name.encode(): name
    for name in (
        *("request-id", "openai-processing-ms", "openai-version", "retry-after-ms", "x-should-retry"),
        *("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    )
} | dict.fromkeys((b"x-request-id", b"x-amzn-requestid"), "x-upstream-request-id")
"""What goes back to the caller, and its name there; a header of the gateway's own of that name takes precedence."""

PASSED_RESPONSE_PREFIX = b"anthropic-ratelimit-"
_OWN_PREFIX = b"anthropic-ratelimit-requests-"

MAX_HEADER_CHARS = 2_000
_REQUEST_VALUE = re.compile(rf"[\x20-\x7e]{{1,{MAX_HEADER_CHARS}}}")
_RESPONSE_VALUE = re.compile(rb"[\x20-\x7e]{1,200}")


def request_headers(
    headers: Mapping[str, str], dialect: str, chosen: Collection[str], project: str | None
) -> RawHeaders:
    """Return what of a request's ``headers`` goes on to an upstream of its own ``dialect``.

    An idempotency key goes on as a digest with the project, since the upstream knows one account: no project can be
    answered with what another has asked. Raises InvalidRequest for a value that is not printable ASCII or too long.
    """
    names = PASSED_REQUEST_HEADERS.get(dialect, ())
    if chosen:
        names += tuple(name for name in CHOSEN_REQUEST_HEADERS.get(dialect, ()) if name in chosen)
    return tuple((name.encode(), _sent(name, headers[name], project)) for name in names if headers.get(name))


def _sent(name: str, value: str, project: str | None) -> bytes:
    if not _REQUEST_VALUE.fullmatch(value):
        raise InvalidRequest(
            f"The header '{name}' must be printable ASCII of at most {MAX_HEADER_CHARS:,} characters.", param=name
        )
    if name == IDEMPOTENCY_KEY:
        return sha256(f"{project}\n{value}".encode()).hexdigest().encode()
    return value.encode()


def request_query(query: str, dialect: str) -> str:
    """Return what of a request's ``query`` goes on to an upstream of its own ``dialect``."""
    return PASSED_QUERY if dialect == "messages" and PASSED_QUERY in query.split("&") else ""


def response_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return what of an upstream's response headers goes back to the caller, by the names that they have there."""
    passed: dict[str, str] = {}
    for raw_name, value in headers:
        name = raw_name.lower()
        own = PASSED_RESPONSE_HEADERS.get(name)
        if own is None:
            if not name.startswith(PASSED_RESPONSE_PREFIX) or name.startswith(_OWN_PREFIX):
                continue
            own = name.decode("ascii", "replace")
        if _RESPONSE_VALUE.fullmatch(value):
            passed[own] = value.decode("ascii")
    return passed
