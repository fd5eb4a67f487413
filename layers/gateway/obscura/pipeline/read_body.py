"""Read the body of a request: JSON or a multipart form, within its size limit and in time."""

import asyncio
import ctypes

from obscura.dialects.json.raw import RawJson
from obscura.errors import InvalidRequest, RequestTooLarge
from obscura.files.multipart import FileField, Form, FormParser, require_form_size
from obscura.pipeline.request import GatewayRequest

# Python/C API, "Byte Array Objects": without a string, the contents are left uninitialised. ``bytearray(n)`` writes
# zeros first, which blocks the event loop for 9 ms if n is 13 MB.
_new_bytearray = ctypes.pythonapi.PyByteArray_FromStringAndSize
_new_bytearray.restype = ctypes.py_object
_new_bytearray.argtypes = (ctypes.c_char_p, ctypes.c_ssize_t)


class BodyBuffer:
    """Collects a body in chunks; memory that was not written is never returned."""

    def __init__(self, expected_bytes: int) -> None:
        """Allocate ``expected_bytes``; more may arrive, or less."""
        self._bytes: bytearray = _new_bytearray(None, expected_bytes)
        self.size_bytes = 0

    def append(self, chunk: bytes) -> None:
        """Copy the next chunk to the end."""
        end = self.size_bytes + len(chunk)
        self._bytes[self.size_bytes : end] = chunk
        self.size_bytes = end

    def finish(self) -> bytearray:
        """Return all chunks as one buffer, cut to their size."""
        del self._bytes[self.size_bytes :]
        return self._bytes


BODY_TIMEOUT_S = 120
OFF_LOOP_BYTES = 256 * 1024


async def read_body(request: GatewayRequest, max_body_bytes: int) -> RawJson:
    """Read and check a JSON body of at most ``max_body_bytes``.

    Raises RequestTooLarge, InvalidRequest (another content type, an encoding, a body that takes over
    ``BODY_TIMEOUT_S``), InvalidJson.
    """
    _require_json_headers(request)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await _receive(request, max_body_bytes)
    except TimeoutError:
        raise InvalidRequest(f"The body did not arrive within {BODY_TIMEOUT_S} s. Send a smaller one.") from None
    request.record.body_bytes = len(body)
    if len(body) > OFF_LOOP_BYTES:
        return await asyncio.to_thread(RawJson, body)
    return RawJson(body)


def _require_json_headers(request: GatewayRequest) -> None:
    content_type = request.head.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise InvalidRequest("The body must be JSON. Send 'Content-Type: application/json'.")
    require_uncompressed(request)


def require_uncompressed(request: GatewayRequest) -> None:
    """Raise InvalidRequest for a compressed body, which would grow while it is read."""
    if request.head.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise InvalidRequest("The body must not be compressed. Send it without a Content-Encoding.")


async def _receive(request: GatewayRequest, max_body_bytes: int) -> bytearray | bytes:
    """Fill one buffer of the declared size as the body arrives, so that a large body is never copied whole."""
    expected_bytes = content_length(request)
    if expected_bytes > max_body_bytes:
        raise _body_too_large(max_body_bytes)
    buffer: BodyBuffer | None = None
    async for chunk in request.body.chunks():
        if chunk and len(chunk) == expected_bytes:
            return chunk
        buffer = buffer or BodyBuffer(expected_bytes)
        if buffer.size_bytes + len(chunk) > max_body_bytes:
            raise _body_too_large(max_body_bytes)
        buffer.append(chunk)
    return buffer.finish() if buffer else b""


def content_length(request: GatewayRequest) -> int:
    """Return the Content-Length, 0 if there is none or it is malformed."""
    declared = request.head.headers.get("content-length", "0")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 16 else 0


def _body_too_large(max_body_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The body is over the limit of {max_body_bytes:,} bytes. Send large images by https URL, or smaller ones."
    )


async def read_form(request: GatewayRequest, file_field: FileField, known_fields: frozenset[str] = frozenset()) -> Form:
    """Read a multipart body; raises InvalidRequest or the file field's ``too_large``."""
    require_uncompressed(request)
    require_form_size(content_length(request), file_field)
    parser = FormParser(request.head.headers.get("content-type", ""), file_field, known_fields)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.body.chunks():
                parser.feed(chunk)
    except TimeoutError:
        raise InvalidRequest(f"The body did not arrive within {BODY_TIMEOUT_S} s. Send it in smaller parts.") from None
    return parser.form()
