"""Errors outside of the dialect endpoints, in the error format of the path's dialect."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from obscura.api.access_log import ACCESS_RECORD, log_exception
from obscura.api.dialect_endpoint import CLIENT_CLOSED_REQUEST, INTERNAL_ERROR, error_headers
from obscura.api.methods import MethodNotAllowed, PathMethods
from obscura.dialects.errors import AnthropicErrorFormat, ErrorFormat, OpenAIErrorFormat
from obscura.errors import InternalError, InvalidRequest, NotFound, ObscuraError

OPENAI, ANTHROPIC = OpenAIErrorFormat(), AnthropicErrorFormat()


def speaks_anthropic(request: Request) -> bool:
    """Whether a client of a path that both APIs have, such as the models, is one of Anthropic's."""
    return "anthropic-version" in request.headers


def error_format_for(request: Request) -> ErrorFormat:
    """Return the error format of the dialect whose path it is, or below it; elsewhere the client's."""
    path = request.scope["path"]
    formats: dict[str, ErrorFormat] = request.app.state.error_formats
    for served, error_format in formats.items():
        if path == served or path.startswith(f"{served}/"):
            return error_format
    return ANTHROPIC if speaks_anthropic(request) else OPENAI


async def handle_error(request: Request, exception: Exception) -> Response:
    """Render any exception as an error response; OPTIONS is answered here, since no route takes it."""
    record = request.scope[ACCESS_RECORD]
    if request.method == "OPTIONS" and (allowed := _allowed(request)) and isinstance(exception, HTTPException):
        return Response(status_code=204, headers={"allow": allowed})
    error, error_format = _to_error(exception, request, record.request_id), error_format_for(request)
    record.code = error.code
    headers = error_headers(error) | error_format.response_headers(record.request_id)
    body = error_format.render_error(error, record.request_id)
    return Response(body, error.response_status, headers, "application/json")


async def handle_disconnect(request: Request, exception: Exception) -> Response:
    """End a request whose client has disconnected."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def invalid_request(errors: Sequence[Mapping[str, Any]], *, in_form: bool = False) -> InvalidRequest:
    """Return the error for pydantic's first one; its param is the field, such as ``a.b``, in a form ``a[b]``.

    An item of an array is named by the array: ``part_ids``, not ``part_ids[1]``.
    """
    field, *inner = [name for name in errors[0]["loc"] if isinstance(name, str)]
    param = field + "".join(f"[{name}]" if in_form else f".{name}" for name in inner)
    reason = errors[0]["msg"]
    return InvalidRequest(f"'{param}' is not valid: {reason[0].lower()}{reason[1:]}.", param=param)


def _allowed(request: Request) -> str:
    """Return the methods that the path takes, as the header Allow has them; empty for a path that is not served."""
    methods: PathMethods = request.app.state.methods
    return ", ".join(methods.of(request.app, request.scope["path"]))


def _to_error(exception: Exception, request: Request, request_id: str) -> ObscuraError:
    if isinstance(exception, ObscuraError):
        return exception
    if isinstance(exception, RequestValidationError):
        return invalid_request([error | {"loc": error["loc"][1:]} for error in exception.errors()])
    if not isinstance(exception, HTTPException):
        log_exception(exception, request_id)
        return InternalError(INTERNAL_ERROR)
    if exception.status_code == 405:
        allowed = _allowed(request)
        error = MethodNotAllowed(f"This path takes {allowed} only.")
        error.headers = {"allow": allowed}
        return error
    if exception.status_code == 404:
        return NotFound("Nothing is served at this path. 'GET /openapi.json' lists every path that is.")
    return InvalidRequest("The request cannot be read.")
