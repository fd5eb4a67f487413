"""How errors look in each API family: the one place where they are rendered."""

import msgspec

from obscura.errors import ObscuraError

_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def openai_error(error: ObscuraError) -> bytes:
    """Write OpenAI's shape: message, type, param and code, and ``category`` where there is one."""
    shape = {
        "message": error.message,
        "type": _openai_type(error.answer_status),
        "param": error.param,
        "code": error.code,
    }
    if error.category is not None:
        shape["category"] = error.category
    return msgspec.json.encode({"error": shape})


def _openai_type(status: int) -> str:
    if status >= 500:
        return "server_error"
    return _OPENAI_TYPES.get(status, "invalid_request_error")
