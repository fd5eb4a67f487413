"""An upstream's refusal, told in Obscura's codes: the caller's fault, the operator's, or the upstream's own."""

from collections.abc import Mapping

import msgspec

from obscura.errors import (
    InvalidRequest,
    ModelNotFound,
    ObscuraError,
    RateLimitExceeded,
    RequestTooLarge,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)

MAX_MESSAGE_CHARS = 2000
_CLIENT_ERRORS: dict[int, type[ObscuraError]] = {
    400: InvalidRequest,
    404: ModelNotFound,
    413: RequestTooLarge,
    422: InvalidRequest,
}


class _ErrorBody(msgspec.Struct):
    message: str = ""
    param: str | None = None


class _ValidationItem(msgspec.Struct):
    msg: str = ""


class _OpenAIErrorBody(msgspec.Struct):
    error: _ErrorBody | str | None = None
    message: str = ""
    detail: str | list[_ValidationItem] = ""


def error_from_upstream(status: int, body: bytes, headers: Mapping[str, str]) -> ObscuraError:
    """Return the error for an upstream's answer of any status but 200.

    400, 404, 413 and 422 concern the request and keep the upstream's message; 429 keeps its Retry-After; 401 and 403
    are the operator's fault and like every other status become 502, but for 408 and 504, which become 504, and for
    Anthropic's 529, "overloaded", which becomes 503.
    """
    if status in _CLIENT_ERRORS:
        return _client_error(status, body)
    if status == 429:
        return RateLimitExceeded(
            "The upstream model is at its rate limit. Wait and try again.", retry_after_s=retry_after_s(headers) or 1
        )
    if status in {401, 403}:
        return UpstreamError(
            f"The upstream refused the gateway's own credentials (status {status}). "
            "Not your fault: the operator must check OBSCURA_UPSTREAM_KEY."
        )
    if status in {408, 504}:
        return UpstreamTimeout("The upstream says that it ran out of time. Try again, or ask for a shorter answer.")
    if status == 529:
        return UpstreamUnavailable(
            "The upstream model is overloaded. Wait and try again.", retry_after_s=retry_after_s(headers)
        )
    return UpstreamError(f"The upstream failed (status {status}). Try again.")


def retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Read Retry-After in its seconds form (RFC 9110 §10.2.3)."""
    value = headers.get("retry-after", "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else None


def _client_error(status: int, body: bytes) -> ObscuraError:
    told = _read(body)
    message = told.message[:MAX_MESSAGE_CHARS] or f"The upstream refused the request (status {status})."
    error = _CLIENT_ERRORS[status](message, param=told.param)
    error.response_status = status
    return error


def _read(body: bytes) -> _ErrorBody:
    try:
        read = msgspec.json.decode(body, type=_OpenAIErrorBody, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _ErrorBody()
    if isinstance(read.error, _ErrorBody):
        return read.error
    detail = read.detail if isinstance(read.detail, str) else "; ".join(fault.msg for fault in read.detail)
    return _ErrorBody(read.error or read.message or detail)
