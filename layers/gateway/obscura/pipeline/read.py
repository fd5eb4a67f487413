"""Read: the body within its limits, opened as a tree of raw slices."""

import asyncio

from obscura.errors import InvalidRequest, RequestTooLarge
from obscura.pipeline.body_buffer import BodyBuffer
from obscura.pipeline.request import InboundRequest
from obscura.wire.raw_body import RawBody

BODY_TIMEOUT_S = 120
OFF_LOOP_BYTES = 256 * 1024


async def read_body(request: InboundRequest, max_body_bytes: int) -> RawBody:
    """Read and check a JSON body of at most ``max_body_bytes``.

    Raises RequestTooLarge, InvalidRequest (another content type, an encoding, a body that takes over
    ``BODY_TIMEOUT_S``), InvalidJson.
    """
    _check_content_headers(request)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await _receive(request, max_body_bytes)
    except TimeoutError:
        raise InvalidRequest(f"The body did not arrive within {BODY_TIMEOUT_S} s. Send a smaller one.") from None
    request.journal.body_bytes = len(body)
    if len(body) > OFF_LOOP_BYTES:
        return await asyncio.to_thread(RawBody, body)
    return RawBody(body)


def _check_content_headers(request: InboundRequest) -> None:
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise InvalidRequest("The body must be JSON. Send 'Content-Type: application/json'.")
    check_not_compressed(request)


def check_not_compressed(request: InboundRequest) -> None:
    """Raise InvalidRequest for a body that would grow while it is read."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise InvalidRequest("The body must not be compressed. Send it without a Content-Encoding.")


async def _receive(request: InboundRequest, max_body_bytes: int) -> bytearray | bytes:
    """Fill one buffer of the declared size as the body arrives, so that a large body is never copied whole."""
    expected_bytes = declared_bytes(request)
    if expected_bytes > max_body_bytes:
        raise _too_large(max_body_bytes)
    buffer = BodyBuffer(expected_bytes)
    async for chunk in request.body.chunks():
        if len(chunk) == expected_bytes:
            return chunk
        if buffer.size_bytes + len(chunk) > max_body_bytes:
            raise _too_large(max_body_bytes)
        buffer.append(chunk)
    return buffer.taken()


def declared_bytes(request: InboundRequest) -> int:
    """Give the Content-Length, 0 where there is none that can be read."""
    declared = request.headers.get("content-length", "0")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 16 else 0


def _too_large(max_body_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The body is over the limit of {max_body_bytes:,} bytes. Send large pictures by https URL, or smaller ones."
    )
