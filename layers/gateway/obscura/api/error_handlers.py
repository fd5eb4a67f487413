"""Errors outside of the road, in the shape of the API family whose path it is."""

from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from obscura.api.access_log import ACCESS_RECORD, log_exception
from obscura.api.dialect_endpoint import error_headers
from obscura.dialects.errors import AnthropicErrorFormat, ErrorFormat, OpenAIErrorFormat
from obscura.errors import InternalError, InvalidRequest, NotFound, ObscuraError, UnsupportedOperation

_OPENAI, _ANTHROPIC = OpenAIErrorFormat(), AnthropicErrorFormat()
_SERVED = "POST /v1/chat/completions, /v1/messages, /v1/responses, /v1/files and /v1/uploads, and GET /v1/models, are."


def error_format_for(request: Request) -> ErrorFormat:
    """Return the shape of a path; elsewhere Anthropic's for who sends ``anthropic-version``, else OpenAI's."""
    path = request.url.path
    if path.startswith("/v1/messages"):
        return _ANTHROPIC
    if "anthropic-version" in request.headers and not path.startswith("/v1/chat"):
        return _ANTHROPIC
    return _OPENAI


async def handle_error(request: Request, exception: Exception) -> Response:
    """Answer any exception: an error of ours as it is, a path or method that nobody serves, or else a fault."""
    error = _error_of(exception, request.scope[ACCESS_RECORD].request_id)
    record, shape = request.scope[ACCESS_RECORD], error_format_for(request)
    record.code = error.code
    headers = error_headers(error) | shape.response_headers(record.request_id)
    body = shape.render_error(error, record.request_id)
    return Response(body, error.response_status, headers, "application/json")


def _error_of(exception: Exception, request_id: str) -> ObscuraError:
    if isinstance(exception, ObscuraError):
        return exception
    if not isinstance(exception, HTTPException):
        log_exception(exception, request_id)
        return InternalError("Something went wrong inside Obscura. Quote the request id.")
    allowed = (exception.headers or {}).get("Allow")
    if allowed:
        error = UnsupportedOperation(f"This path takes {allowed} only.")
        error.response_status, error.headers = 405, {"allow": allowed}
        return error
    if exception.status_code == 404:
        return NotFound(f"Nothing is served at this path. {_SERVED}")
    return InvalidRequest("The request cannot be read.")
