"""How errors look in each API family, and what headers its answers carry: the one place where both are written."""

from typing import Protocol

import msgspec

from obscura.errors import ObscuraError

_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class ErrorFormat(Protocol):
    """What all answers of an API family have in common."""

    def response_headers(self, request_id: str) -> dict[str, str]:
        """Return the headers that every answer of the family carries, beside ``x-request-id``."""
        ...

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Write an error as a body."""
        ...


class OpenAIErrorFormat:
    """Chat completions, Responses, and all else that is OpenAI's."""

    def response_headers(self, request_id: str) -> dict[str, str]:
        """Return none but what every answer has."""
        return {}

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Write OpenAI's error body."""
        return openai_error(error)


class AnthropicErrorFormat:
    """Messages, and all else that is Anthropic's."""

    def response_headers(self, request_id: str) -> dict[str, str]:
        """Return the request id under the name that Anthropic's SDKs read."""
        return {"request-id": request_id}

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Write Anthropic's error body."""
        return anthropic_error(error, request_id)


def openai_error(error: ObscuraError) -> bytes:
    """Write OpenAI's shape: message, type, param and code, and ``category`` where there is one."""
    shape = {
        "message": error.message,
        "type": _openai_type(error.response_status),
        "param": error.param,
        "code": error.code,
    }
    if error.category is not None:
        shape["category"] = error.category
    return msgspec.json.encode({"error": shape})


def anthropic_error(error: ObscuraError, request_id: str) -> bytes:
    """Write Anthropic's shape (API reference, "Errors"), with our code, param and category beside its fields."""
    told = _AnthropicErrorBody(
        type=_anthropic_type(error.response_status),
        message=error.message,
        code=error.code,
        param=error.param,
        category=error.category,
    )
    return msgspec.json.encode(_AnthropicError(type="error", error=told, request_id=request_id))


class _AnthropicErrorBody(msgspec.Struct, omit_defaults=True):
    type: str
    message: str
    code: str
    param: str | None = None
    category: str | None = None


class _AnthropicError(msgspec.Struct):
    type: str
    error: _AnthropicErrorBody
    request_id: str


def _anthropic_type(status: int) -> str:
    by_default = "api_error" if status >= 500 else "invalid_request_error"
    return _ANTHROPIC_TYPES.get(status, by_default)


def _openai_type(status: int) -> str:
    if status >= 500:
        return "server_error"
    return _OPENAI_TYPES.get(status, "invalid_request_error")
