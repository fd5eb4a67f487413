"""OpenAI-compatible servers: paths, bearer token, and their errors as errors of the gateway."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from obscura.dialects.base import UpstreamBody
from obscura.dialects.reported_errors import ReportedError, read_reported
from obscura.errors import (
    InvalidRequest,
    ModelNotFound,
    ObscuraError,
    RateLimitExceeded,
    RequestTooLarge,
    UnsupportedOperation,
    UpstreamBilling,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from obscura.upstreams.base import ModelListing, RawHeaders, StreamDecoder, UpstreamDialect, UpstreamRequest

_PATHS = {"chat": "/chat/completions", "responses": "/responses"}
_IMAGES = "images"
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
        if body.dialect == _IMAGES:
            headers = ((b"content-type", body.content_type.encode()), *_JSON[1:], *body.headers)
            return UpstreamRequest(body.path, headers, body.body)
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

    def list_models(self) -> Sequence[UpstreamRequest]:
        """Write the request for the list of models (OpenAI's API reference, "List models")."""
        return (UpstreamRequest("/models", _JSON, method="GET"),)

    def decode_models(self, body: bytes) -> Sequence[ModelListing]:
        """Read the list of models."""
        try:
            listed = _model_list.decode(body).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamError("The upstream's list of models cannot be read.") from None
        return [ModelListing(entry.id, entry.created or 0, entry.owned_by or "upstream") for entry in listed]

    @staticmethod
    def _headers(body: UpstreamBody) -> RawHeaders:
        return (*(_EVENTS if body.streamed else _JSON), *body.headers)


class _ModelEntry(msgspec.Struct):
    id: str
    created: int | None = None
    owned_by: str | None = None


class _ModelList(msgspec.Struct):
    data: list[_ModelEntry]


_model_list = msgspec.json.Decoder(_ModelList)

_CLIENT_ERRORS: dict[int, type[ObscuraError]] = {
    400: InvalidRequest,
    404: ModelNotFound,
    413: RequestTooLarge,
    422: InvalidRequest,
}
_NO_QUOTA = "insufficient_quota"
NO_RETRY = {"x-should-retry": "false"}
"""For OpenAI's and Anthropic's SDKs, which would retry a 429 (their source, ``_should_retry``)."""


def error_from_upstream(status: int, body: bytes, headers: Mapping[str, str]) -> ObscuraError:
    """Return the error for an upstream's response of any status but 200 (ADR 8, ADR 121).

    Its code, type, param and details are the upstream's, but for 401 and 403, which concern the operator and become
    502. 400, 404, 413 and 422 concern the request and keep their status and the upstream's message, masked and cut, as
    do 402 and whatever is called ``insufficient_quota``, which trying again does not help. 429 keeps its Retry-After.
    408 and 504 become 504, Anthropic's 529, "overloaded", 503, and every other status 502.
    """
    reported = read_reported(body) if status >= 400 else ReportedError()
    if status == 402 or (400 <= status < 500 and reported.named(_NO_QUOTA)):
        error = UpstreamBilling(
            _quoting(f"The upstream refuses the operator's account over its bill (status {status}).", reported)
        )
        error.response_status, error.headers = status, dict(NO_RETRY)
        return reported.add_to(error)
    if status in _CLIENT_ERRORS:
        about_request = _CLIENT_ERRORS[status](
            reported.message or f"The upstream rejected the request (status {status})."
        )
        about_request.response_status = status
        return reported.add_to(about_request)
    if status in {401, 403}:
        return UpstreamError(
            f"The upstream rejected the gateway's own credentials (status {status}). "
            "Not your fault: the operator must check OBSCURA_UPSTREAM_KEY."
        )
    return reported.add_to(_unavailable(status, headers))


def _unavailable(status: int, headers: Mapping[str, str]) -> ObscuraError:
    """Return the error for a status that says nothing of the request itself."""
    wait_s = retry_after_s(headers)
    if status == 429:
        return RateLimitExceeded(
            "The upstream model is at its rate limit. Wait and try again.", retry_after_s=wait_s or 1
        )
    if status in {408, 504}:
        return UpstreamTimeout("The upstream reports a timeout. Try again, or request a shorter response.")
    if status == 529:
        return UpstreamUnavailable("The upstream model is overloaded. Wait and try again.", retry_after_s=wait_s)
    return UpstreamError(f"The upstream failed (status {status}). Try again.", retry_after_s=wait_s)


def _quoting(message: str, reported: ReportedError) -> str:
    return f"{message} It says: {reported.message}" if reported.message else message


def retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Return Retry-After in its seconds form (RFC 9110 §10.2.3), None without it."""
    value = headers.get("retry-after", "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else None
