"""JSON answers of the families that FastAPI routes."""

import msgspec
from fastapi import Request
from fastapi.responses import Response

from obscura.web.error_answer import shape_of
from obscura.web.request_log import JOURNAL


def json_answer(request: Request, shown: msgspec.Struct) -> Response:
    """Write an answer, with the headers of the caller's dialect."""
    headers = shape_of(request).answer_headers(request.scope[JOURNAL].request_id)
    return Response(msgspec.json.encode(shown), media_type="application/json", headers=headers)
