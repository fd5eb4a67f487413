"""Bedrock's errors as errors of the gateway (Bedrock API reference, "Common error types" and each operation's).

By the name of the exception, since Bedrock's statuses say less: ModelNotReadyException and ThrottlingException share
429, what the model itself refused is 424.
"""

from collections.abc import Callable, Mapping

import msgspec

from obscura.errors import (
    InvalidRequest,
    ModelNotFound,
    ObscuraError,
    RateLimitExceeded,
    RequestTooLarge,
    UpstreamBilling,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from obscura.masking import masked
from obscura.upstreams.openai import NO_RETRY, retry_after_s

NOT_READY_RETRY_S = 10
TYPE_HEADER = "x-amzn-errortype"


class _Body(msgspec.Struct):
    message: str | None = None
    capital_message: str | None = msgspec.field(name="Message", default=None)
    type: str | None = msgspec.field(name="__type", default=None)


_decoder = msgspec.json.Decoder(_Body, strict=False)


def error_of_response(status: int, body: bytes, headers: Mapping[str, str]) -> ObscuraError:
    """Return the error for a response of any status but 200."""
    read = _read(body)
    # "ValidationException:http://internal.amazon.com/…" and "com.amazon.coral…#ValidationException" are written too.
    name = (headers.get(TYPE_HEADER) or read.type or "").partition(":")[0].rpartition("#")[2]
    return error_named(name or _BY_STATUS.get(status, ""), read.message or read.capital_message or "", status, headers)


def error_of_event(name: str, payload: bytes) -> ObscuraError:
    """Return the error for an exception within a stream, whose names begin in lower case."""
    read = _read(payload)
    return error_named(name[:1].upper() + name[1:], read.message or read.capital_message or "")


def error_named(
    name: str, message: str, status: int | None = None, headers: Mapping[str, str] | None = None
) -> ObscuraError:
    """Return the error for an exception by its name; one that is not known is a 502."""
    said = masked(message)
    wait_s = retry_after_s(headers or {})
    make = _ERRORS.get(name)
    if make is not None:
        return make(said, wait_s)
    quoted = f" It says: {said}" if said and name in _QUOTED else ""
    what = f"status {status}" if status is not None else name or "an exception in its stream"
    return UpstreamError(f"The upstream failed ({what}). Try again.{quoted}", retry_after_s=wait_s)


def _read(body: bytes) -> _Body:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Body()


def _validation(said: str, wait_s: int | None) -> ObscuraError:
    return InvalidRequest(said or "The upstream rejected the request (ValidationException).")


def _not_found(said: str, wait_s: int | None) -> ObscuraError:
    return ModelNotFound(said or "The upstream has no such model in this region.", param="model")


def _too_large(said: str, wait_s: int | None) -> ObscuraError:
    return RequestTooLarge(said or "The request is larger than the upstream takes. Send fewer or smaller images.")


def _throttled(said: str, wait_s: int | None) -> ObscuraError:
    return RateLimitExceeded("The upstream model is at its rate limit. Wait and try again.", retry_after_s=wait_s or 1)


def _not_ready(said: str, wait_s: int | None) -> ObscuraError:
    return UpstreamUnavailable(
        "The upstream model is being made ready. Wait and try again.", retry_after_s=wait_s or NOT_READY_RETRY_S
    )


def _unavailable(said: str, wait_s: int | None) -> ObscuraError:
    return UpstreamUnavailable("The upstream model is overloaded. Wait and try again.", retry_after_s=wait_s)


def _timed_out(said: str, wait_s: int | None) -> ObscuraError:
    return UpstreamTimeout("The upstream reports a timeout. Try again, or request a shorter response.")


def _denied(said: str, wait_s: int | None) -> ObscuraError:
    return UpstreamError(
        "Amazon Bedrock denies the gateway access to this model. Not your fault: the operator must allow "
        "bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream on it, and enable the model in its region."
    )


def _credentials(said: str, wait_s: int | None) -> ObscuraError:
    return UpstreamError(
        "Amazon Bedrock rejected the gateway's own credentials. Not your fault: the operator must check them, and the "
        "machine's clock."
    )


def _quota(said: str, wait_s: int | None) -> ObscuraError:
    error = UpstreamBilling(f"The upstream's account is at its quota. {said}".strip())
    error.headers = dict(NO_RETRY)
    return error


_ERRORS: Mapping[str, Callable[[str, int | None], ObscuraError]] = {
    "ValidationException": _validation,
    "ResourceNotFoundException": _not_found,
    "RequestEntityTooLargeException": _too_large,
    "ThrottlingException": _throttled,
    "TooManyRequestsException": _throttled,
    "ModelNotReadyException": _not_ready,
    "ServiceUnavailableException": _unavailable,
    "ModelTimeoutException": _timed_out,
    "AccessDeniedException": _denied,
    "ServiceQuotaExceededException": _quota,
    **dict.fromkeys(
        (
            *("UnrecognizedClientException", "InvalidSignatureException", "SignatureDoesNotMatch"),
            *("ExpiredTokenException", "ExpiredToken", "IncompleteSignatureException", "IncompleteSignature"),
            *("MissingAuthenticationTokenException", "MissingAuthenticationToken", "InvalidClientTokenId"),
        ),
        _credentials,
    ),
}
_QUOTED = frozenset({"ModelErrorException", "ModelStreamErrorException"})
"""Of the model itself, whose words concern the request."""
_BY_STATUS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    413: "RequestEntityTooLargeException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}
"""For an answer without a name, as a proxy or an endpoint in between sends it."""
