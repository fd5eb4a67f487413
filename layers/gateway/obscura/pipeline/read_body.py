"""Read the body of a request: JSON or a multipart form, within its size limit and in time."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

from obscura.dialects.json.prescan import MAX_ITEMS
from obscura.dialects.json.raw import RawJson
from obscura.errors import InvalidRequest, RequestTooLarge
from obscura.execution import run_off_loop
from obscura.files.multipart import FileField, Form, FormParser, require_form_size
from obscura.memory_budget import request_memory
from obscura.pipeline.body_pace import BodyPace
from obscura.pipeline.request import GatewayRequest

# Python/C API, "Byte Array Objects": without a string, the contents are left uninitialised. ``bytearray(n)`` writes
# zeros first, which blocks the event loop for 9 ms if n is 13 MB.
_new_bytearray = ctypes.pythonapi.PyByteArray_FromStringAndSize
_new_bytearray.restype = ctypes.py_object
_new_bytearray.argtypes = (ctypes.c_char_p, ctypes.c_ssize_t)


FIRST_BUFFER_BYTES = 512 * 1024


class BodyBuffer:
    """Collects a body in chunks; memory that was not written is never returned.

    It doubles as it fills, up to what was declared: a body that is only declared has no memory (ADR 72).
    """

    def __init__(self, expected_bytes: int) -> None:
        """Begin a body of ``expected_bytes``; more may arrive, or less."""
        self._expected_bytes = expected_bytes
        self._bytes: bytearray = _new_bytearray(None, min(expected_bytes, FIRST_BUFFER_BYTES))
        self.size_bytes = 0

    def append(self, chunk: bytes) -> None:
        """Copy the next chunk to the end."""
        end = self.size_bytes + len(chunk)
        if end > len(self._bytes):
            self._grow(end)
        self._bytes[self.size_bytes : end] = chunk
        self.size_bytes = end

    def _grow(self, size_bytes: int) -> None:
        doubled = 2 * len(self._bytes)
        larger: bytearray = _new_bytearray(None, max(size_bytes, min(doubled, self._expected_bytes or doubled)))
        larger[: self.size_bytes] = memoryview(self._bytes)[: self.size_bytes]
        self._bytes = larger

    def finish(self) -> bytearray:
        """Return all chunks as one buffer, cut to their size."""
        del self._bytes[self.size_bytes :]
        return self._bytes


OFF_LOOP_BYTES = 16 * 1024
OFF_LOOP_VALUES = 256
"""Of a body with more than either, the event loop reads nothing: a value costs up to 20 µs, a byte up to 0.3 µs."""


async def read_body(request: GatewayRequest, max_body_bytes: int) -> RawJson:
    """Read and check a JSON body; raises what ``read_and_parse`` raises."""
    return (await read_and_parse(request, max_body_bytes, MAX_ITEMS, lambda body: body)).parsed


@dataclass(frozen=True, slots=True)
class ParsedBody[Parsed]:
    """What a body was parsed into; ``is_large`` if the event loop is to do no work on it."""

    parsed: Parsed
    is_large: bool


async def read_and_parse[Parsed](
    request: GatewayRequest, max_body_bytes: int, max_items: int, parse: Callable[[RawJson], Parsed]
) -> ParsedBody[Parsed]:
    """Read, check and parse a JSON body of at most ``max_body_bytes``; a large one is parsed in a thread (ADR 77).

    Raises RequestTooLarge, InvalidRequest (another content type, an encoding), RequestTimeout, Overloaded,
    TooManyItems, InvalidJson, and what ``parse`` raises.
    """
    _require_json_headers(request)
    body = await receive_body(request, max_body_bytes)
    request.record.body_bytes = len(body)
    if len(body) > OFF_LOOP_BYTES:
        return ParsedBody(await run_off_loop(lambda: parse(RawJson(body, max_items))), is_large=True)
    json = RawJson(body, max_items)
    is_large = json.values > OFF_LOOP_VALUES
    return ParsedBody(await run_off_loop(lambda: parse(json), off_loop=is_large), is_large)


def _require_json_headers(request: GatewayRequest) -> None:
    content_type = request.head.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise InvalidRequest("The body must be JSON. Send 'Content-Type: application/json'.")
    require_uncompressed(request)


def require_uncompressed(request: GatewayRequest) -> None:
    """Raise InvalidRequest for a compressed body, which would grow while it is read."""
    if request.head.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise InvalidRequest("The body must not be compressed. Send it without a Content-Encoding.")


async def receive_body(request: GatewayRequest, max_body_bytes: int) -> bytearray | bytes:
    """Fill one buffer of the declared size as the body arrives, so that a large body is never copied whole.

    Raises RequestTooLarge, RequestTimeout or Overloaded.
    """
    expected_bytes = content_length(request)
    if expected_bytes > max_body_bytes:
        raise _body_too_large(max_body_bytes)
    buffer: BodyBuffer | None = None
    async with BodyPace(request_memory(), expected_bytes) as pace:
        async for chunk in request.body.chunks():
            await pace.take(len(chunk))
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
    """Read a multipart body; raises InvalidRequest, the file field's ``too_large``, RequestTimeout or Overloaded."""
    require_uncompressed(request)
    require_form_size(content_length(request), file_field)
    parser = FormParser(request.head.headers.get("content-type", ""), file_field, known_fields)
    try:
        async with BodyPace(request_memory(), content_length(request)) as pace:
            async for chunk in request.body.chunks():
                await pace.take(len(chunk))
                parser.feed(chunk)
        return parser.form()
    finally:
        parser.discard()
