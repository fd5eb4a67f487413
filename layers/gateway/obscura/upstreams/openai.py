"""OpenAI-compatible servers: paths, bearer token, and their errors as errors of the gateway."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from obscura.dialects.base import UpstreamBody
from obscura.errors import (
    InvalidRequest,
    ModelNotFound,
    ObscuraError,
    RateLimitExceeded,
    RequestTooLarge,
    UnsupportedOperation,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from obscura.masking import masked
from obscura.upstreams.base import ModelListing, RawHeaders, StreamDecoder, UpstreamDialect, UpstreamRequest

_PATHS = {"chat": "/chat/completions", "responses": "/responses"}
_JSON: RawHeaders = (
    (b"content-type", b"application/json"),
    (b"accept-encoding", b"identity"),
    (b"accept", b"application/json"),
)
_EVENTS: RawHeaders = (*_JSON[:2], (b"accept", b"text/event-stream"))


class OpenAIUpstream(UpstreamDialect):
    """An OpenAI-compatible server. All bodies go through as they are, both ways; see ``UpstreamDialect``."""

    speaks: ClassVar[frozenset[str]] = frozenset(_PATHS)

    def __init__(self, key: str | None) -> None:
        """``key`` goes out as a bearer token and nowhere else."""
        self._credentials: RawHeaders = ((b"authorization", b"Bearer %b" % key.encode()),) if key else ()

    def encode(self, body: UpstreamBody) -> UpstreamRequest:
        """Write a request: the body as it is."""
        path = _PATHS.get(body.dialect)
        if path is None:
            raise UnsupportedOperation(f"The model's upstream does not speak {body.dialect}. Use chat completions.")
        return UpstreamRequest(path, self._headers(body), body.body)

    def authorize(self, request: UpstreamRequest, url: str) -> RawHeaders:
        """Return the bearer token's header."""
        return self._credentials

    def decode(self, body: bytes) -> bytes:
        """Return the body as it is."""
        return body

    def is_stream(self, content_type: str) -> bool:
        """Whether a response is a stream of server-sent events."""
        return content_type.startswith("text/event-stream")

    def stream_decoder(self) -> StreamDecoder | None:
        """Return none: the stream already is server-sent events."""
        return None

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ObscuraError:
        """Return the error for a response of any status but 200."""
        return error_from_upstream(status, body, headers)

    def list_models(self) -> UpstreamRequest:
        """Write the request for the list of models (OpenAI's API reference, "List models")."""
        return UpstreamRequest("/models", _JSON, method="GET")

    def decode_models(self, body: bytes) -> Sequence[ModelListing]:
        """Read the list of models."""
        try:
            listed = _model_list.decode(body).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamError("The upstream's list of models cannot be read.") from None
        return [ModelListing(entry.id, entry.created or 0, entry.owned_by or "upstream") for entry in listed]

    @staticmethod
    def _headers(body: UpstreamBody) -> RawHeaders:
        return _EVENTS if body.streamed else _JSON


class _ModelEntry(msgspec.Struct):
    id: str
    created: int | None = None
    owned_by: str | None = None


class _ModelList(msgspec.Struct):
    data: list[_ModelEntry]


_model_list = msgspec.json.Decoder(_ModelList)

MAX_PARAM_CHARS = 200
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
    """Return the error for an upstream's response of any status but 200 (ADR 8).

    400, 404, 413 and 422 concern the request and keep the upstream's message, masked and cut. 429 keeps its
    Retry-After. 401 and 403 concern the operator and become 502, as does every other status except 408 and 504, which
    become 504, and Anthropic's 529, "overloaded", which becomes 503.
    """
    if status in _CLIENT_ERRORS:
        return _client_error(status, body)
    if status == 429:
        return RateLimitExceeded(
            "The upstream model is at its rate limit. Wait and try again.", retry_after_s=retry_after_s(headers) or 1
        )
    if status in {401, 403}:
        return UpstreamError(
            f"The upstream rejected the gateway's own credentials (status {status}). "
            "Not your fault: the operator must check OBSCURA_UPSTREAM_KEY."
        )
    if status in {408, 504}:
        return UpstreamTimeout("The upstream reports a timeout. Try again, or request a shorter response.")
    if status == 529:
        return UpstreamUnavailable(
            "The upstream model is overloaded. Wait and try again.", retry_after_s=retry_after_s(headers)
        )
    return UpstreamError(f"The upstream failed (status {status}). Try again.")


def retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Return Retry-After in its seconds form (RFC 9110 §10.2.3), None without it."""
    value = headers.get("retry-after", "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else None


def _client_error(status: int, body: bytes) -> ObscuraError:
    upstream_error = _error_body(body)
    message = masked(upstream_error.message) or f"The upstream rejected the request (status {status})."
    param = None if upstream_error.param is None else masked(upstream_error.param)[:MAX_PARAM_CHARS]
    error = _CLIENT_ERRORS[status](message, param=param)
    error.response_status = status
    return error


def _error_body(body: bytes) -> _ErrorBody:
    try:
        parsed = msgspec.json.decode(body, type=_OpenAIErrorBody, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _ErrorBody()
    if isinstance(parsed.error, _ErrorBody):
        return parsed.error
    if isinstance(parsed.detail, str):
        return _ErrorBody(parsed.error or parsed.message or parsed.detail)
    return _ErrorBody(parsed.error or parsed.message or "; ".join(item.msg for item in parsed.detail))
