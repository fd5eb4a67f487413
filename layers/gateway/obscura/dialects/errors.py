"""Error formats: how each API family writes errors, and the headers that all its responses carry."""

from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from obscura.errors import ObscuraError

_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_ANTHROPIC_TYPE_NAMES = frozenset((*_ANTHROPIC_TYPES.values(), "api_error", "conflict_error", "invalid_request_error"))


type Message = Annotated[str, Meta(description="What was wrong, the limit, and a hint.")]
type Code = Annotated[str, Meta(description="The code of the error.", examples=["unsafe_image_url"])]
type Param = Annotated[str, Meta(description="A JSON path, such as messages[0].content[1].")]
type Details = Annotated[Any, Meta(description="What a program may read of the error, such as an upstream's details.")]
type Category = Annotated[str, Meta(description="The moderation category, with moderation_blocked.")]


class OpenAIErrorBody(msgspec.Struct):
    """What went wrong."""

    message: Message
    type: str
    param: Param | None
    code: Code
    category: Category | UnsetType = UNSET
    details: Details | UnsetType = UNSET


class OpenAIError(msgspec.Struct):
    """An error of OpenAI's APIs."""

    error: OpenAIErrorBody


class AnthropicErrorBody(msgspec.Struct):
    """What went wrong."""

    type: str
    message: Message
    code: Code
    param: Param | UnsetType = UNSET
    category: Category | UnsetType = UNSET
    details: Details | UnsetType = UNSET


class AnthropicError(msgspec.Struct):
    """An error of Anthropic's APIs."""

    type: Literal["error"]
    error: AnthropicErrorBody
    request_id: str


class ErrorFormat(Protocol):
    """What all responses of an API family have in common."""

    @property
    def error_type(self) -> type[msgspec.Struct]:
        """The type of an error's body; its schema is in ``/openapi.json``."""
        ...

    def response_headers(self, request_id: str) -> dict[str, str]:
        """Return the headers that every response of the family carries beside ``x-request-id``."""
        ...

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Render an error as a response body."""
        ...


class OpenAIErrorFormat:
    """Errors of OpenAI's APIs: chat completions, Responses, files, models."""

    error_type = OpenAIError

    def response_headers(self, request_id: str) -> dict[str, str]:
        """Return no headers: OpenAI's SDKs read ``x-request-id``."""
        return {}

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Render OpenAI's error body."""
        return openai_error(error)


class AnthropicErrorFormat:
    """Errors of Anthropic's APIs: Messages, models."""

    error_type = AnthropicError

    def response_headers(self, request_id: str) -> dict[str, str]:
        """Return the request id under the name that Anthropic's SDKs read."""
        return {"request-id": request_id}

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Render Anthropic's error body."""
        return anthropic_error(error, request_id)


def openai_error(error: ObscuraError) -> bytes:
    """Render OpenAI's error body: message, type, param and code, and ``category`` and ``details`` if there are any."""
    body = OpenAIErrorBody(
        message=error.message,
        type=_openai_type(error),
        param=error.param,
        code=error.response_code,
        category=_or_unset(error.category),
        details=_or_unset(error.details),
    )
    return msgspec.json.encode(OpenAIError(body))


def anthropic_error(error: ObscuraError, request_id: str) -> bytes:
    """Render Anthropic's error body (API reference, "Errors"), with code, param and category of our own in it."""
    body = AnthropicErrorBody(
        type=_anthropic_type(error),
        message=error.message,
        code=error.response_code,
        param=_or_unset(error.param),
        category=_or_unset(error.category),
        details=_or_unset(_thread_details(error) if error.details is None else error.details),
    )
    return msgspec.json.encode(AnthropicError("error", body, request_id))


def _or_unset[V](value: V | None) -> V | UnsetType:
    return UNSET if value is None else value


_THREAD_UNSUPPORTED = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def _thread_details(error: ObscuraError) -> object | None:
    """Return what a refused ``thread`` says to Anthropic's SDKs, which then send the request again without one.

    Without it ``client.beta.messages.tool_runner``, which begins a thread by default, fails (the SDK's source,
    ``lib/threads/_thread_state.py``).
    """
    of_thread = error.param is not None and error.param.partition(".")[0] == "thread"
    return _THREAD_UNSUPPORTED if of_thread and error.response_status == 400 else None


def _anthropic_type(error: ObscuraError) -> str:
    """Return the upstream's type if it is one of Anthropic's, which its SDKs know, else that of the status."""
    if error.response_type in _ANTHROPIC_TYPE_NAMES:
        return error.response_type
    default = "api_error" if error.response_status >= 500 else "invalid_request_error"
    return _ANTHROPIC_TYPES.get(error.response_status, default)


def _openai_type(error: ObscuraError) -> str:
    """Return the upstream's type, of which OpenAI has no closed list, else that of the status."""
    if error.response_type is not None:
        return error.response_type
    if error.response_status >= 500:
        return "server_error"
    return _OPENAI_TYPES.get(error.response_status, "invalid_request_error")
