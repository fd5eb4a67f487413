"""Errors outside of the road, in the shape of the API family whose path it is."""

from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from obscura.errors import InternalError, InvalidRequest, NotFound, ObscuraError, UnsupportedOperation
from obscura.web.request_log import JOURNAL, log_fault
from obscura.web.road_endpoint import error_headers
from obscura.wire.error_shapes import AnswerShape, AnthropicShape, OpenAIShape

_OPENAI, _ANTHROPIC = OpenAIShape(), AnthropicShape()
_SERVED = "POST /v1/chat/completions, /v1/messages, /v1/responses, /v1/files and /v1/uploads, and GET /v1/models, are."


def shape_of(request: Request) -> AnswerShape:
    """Give the shape of a path; elsewhere Anthropic's for who sends ``anthropic-version``, else OpenAI's."""
    path = request.url.path
    if path.startswith("/v1/messages"):
        return _ANTHROPIC
    if "anthropic-version" in request.headers and not path.startswith("/v1/chat"):
        return _ANTHROPIC
    return _OPENAI


async def answer_error(request: Request, exception: Exception) -> Response:
    """Answer any exception: an error of ours as it is, a path or method that nobody serves, or else a fault."""
    error = _error_of(exception, request.scope[JOURNAL].request_id)
    journal, shape = request.scope[JOURNAL], shape_of(request)
    journal.code = error.code
    headers = error_headers(error) | shape.answer_headers(journal.request_id)
    body = shape.render_error(error, journal.request_id)
    return Response(body, error.answer_status, headers, "application/json")


def _error_of(exception: Exception, request_id: str) -> ObscuraError:
    if isinstance(exception, ObscuraError):
        return exception
    if not isinstance(exception, HTTPException):
        log_fault(exception, request_id)
        return InternalError("Something went wrong inside Obscura. Quote the request id.")
    allowed = (exception.headers or {}).get("Allow")
    if allowed:
        error = UnsupportedOperation(f"This path takes {allowed} only.")
        error.answer_status, error.headers = 405, {"allow": allowed}
        return error
    if exception.status_code == 404:
        return NotFound(f"Nothing is served at this path. {_SERVED}")
    return InvalidRequest("The request cannot be read.")
