"""Call the upstream and translate its response, whole or as it streams."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from obscura.dialects.base import StreamTranslator, UpstreamBody
from obscura.errors import ObscuraError
from obscura.pipeline.request import GatewayResponse, StreamingBody
from obscura.upstreams.base import Upstream

EVENT_STREAM = "text/event-stream"
CLOSE_TIMEOUT_S = 1.0


async def call_upstream(request: UpstreamBody, upstream: Upstream, image_tokens: Sequence[int]) -> GatewayResponse:
    """Call the upstream and return its response, to be closed in any case.

    Raises UpstreamError, UpstreamTimeout, UpstreamUnavailable, or the upstream's own error about the request.
    """
    response = await upstream.send(request)
    if isinstance(response, bytes):
        return GatewayResponse(200, "application/json", request.translator.translate(response, image_tokens))
    translator = request.translator.stream(image_tokens)
    body = StreamingBody(_translate_stream(response.chunks, translator), translator.fail, response.aclose)
    return GatewayResponse(200, EVENT_STREAM, body, {"cache-control": "no-cache", "x-accel-buffering": "no"})


async def _translate_stream(chunks: AsyncIterator[bytes], translator: StreamTranslator) -> AsyncIterator[bytes]:
    while (chunk := await _next_chunk(chunks, translator)) is not None:
        events = translator.feed(chunk)
        if events:
            yield events
    rest = translator.finish()
    if rest:
        yield rest


async def _next_chunk(chunks: AsyncIterator[bytes], translator: StreamTranslator) -> bytes | None:
    """Return the next chunk, None at the end; some servers keep the connection open after the last event (ADR 10)."""
    if not translator.complete:
        return await anext(chunks, None)
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            return await anext(chunks, None)
    except (TimeoutError, ObscuraError):
        return None
