"""The response to a request that no application sees: it is not valid HTTP, or there are too many connections."""

import secrets
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus

from obscura.api.access_log import log_refusal
from obscura.dialects.errors import ErrorFormat, OpenAIErrorFormat
from obscura.dialects.registry import load_dialect, names
from obscura.errors import ObscuraError


def render_refusal(target: bytes, error: ObscuraError, more_headers: Mapping[str, str]) -> bytes:
    """Render an error in the format of the path, log it, and return head and body; the connection is to close."""
    request_id = f"req_{secrets.token_hex(12)}"
    log_refusal(request_id, error.status, error.code)
    error_format = _format_of(target.partition(b"?")[0].decode("latin-1"))
    body = error_format.render_error(error, request_id)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": request_id,
        **error_format.response_headers(request_id),
        **more_headers,
    }
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    status = HTTPStatus(error.status)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def _format_of(path: str) -> ErrorFormat:
    for served, error_format in _formats().items():
        if path == served or path.startswith(f"{served}/"):
            return error_format
    return OpenAIErrorFormat()


@cache
def _formats() -> dict[str, ErrorFormat]:
    return {path: dialect for dialect in map(load_dialect, names()) for path in dialect.paths}
