"""Read a form: the file of a multipart body, in memory, within its limits."""

import asyncio

from obscura.errors import InvalidRequest
from obscura.pipeline.read import BODY_TIMEOUT_S, check_not_compressed, declared_bytes
from obscura.pipeline.request import InboundRequest
from obscura.wire.multipart import FileField, Form, FormReader, check_form_size


async def read_form(request: InboundRequest, file_field: FileField, known_fields: frozenset[str] = frozenset()) -> Form:
    """Read a multipart body; raises InvalidRequest or the file field's ``too_large``."""
    check_not_compressed(request)
    check_form_size(declared_bytes(request), file_field)
    reader = FormReader(request.headers.get("content-type", ""), file_field, known_fields)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.body.chunks():
                reader.feed(chunk)
    except TimeoutError:
        raise InvalidRequest(f"The body did not arrive within {BODY_TIMEOUT_S} s. Send it in smaller parts.") from None
    return reader.form()
