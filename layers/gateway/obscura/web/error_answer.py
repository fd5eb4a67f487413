"""Errors outside of the road, in the shape of the dialect whose path it is."""

from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from obscura.errors import InternalError, InvalidRequest, NotFound, ObscuraError, UnsupportedOperation
from obscura.web.request_log import JOURNAL, log_fault
from obscura.web.road_endpoint import error_headers
from obscura.wire.chat import ChatDialect
from obscura.wire.dialect import Dialect
from obscura.wire.messages import MessagesDialect
from obscura.wire.responses import ResponsesDialect

_OPENAI = ChatDialect()
_BY_PATH: tuple[tuple[str, Dialect], ...] = (
    ("/v1/messages", MessagesDialect()),
    ("/v1/responses", ResponsesDialect()),
)
_SERVED = "POST /v1/chat/completions, /v1/messages, /v1/responses, /v1/files and /v1/uploads, and GET /v1/models, are."


def dialect_of(request: Request) -> Dialect:
    """Give the dialect of a path; elsewhere Anthropic's for who sends ``anthropic-version``, else OpenAI's."""
    path = request.url.path
    if not path.startswith("/v1/chat") and "anthropic-version" in request.headers:
        return _BY_PATH[0][1]
    return next((dialect for prefix, dialect in _BY_PATH if path.startswith(prefix)), _OPENAI)


async def answer_error(request: Request, exception: Exception) -> Response:
    """Answer any exception: an error of ours as it is, a path or method that nobody serves, or else a fault."""
    error = _error_of(exception, request.scope[JOURNAL].request_id)
    journal, dialect = request.scope[JOURNAL], dialect_of(request)
    journal.code = error.code
    headers = error_headers(error) | dialect.answer_headers(journal.request_id)
    body = dialect.render_error(error, journal.request_id)
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
