"""Relay: the upstream's answer, passed on as it arrives; what the upstream gets wrong, told in Obscura's codes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from obscura.dialects.base import StreamTranslator, UpstreamBody
from obscura.errors import ObscuraError, UpstreamError
from obscura.pipeline.request import GatewayResponse, StreamingBody
from obscura.upstreams.base import Upstream, UpstreamRequest, UpstreamResponse
from obscura.upstreams.errors import error_from_upstream

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
EVENT_STREAM = "text/event-stream"
CLOSE_TIMEOUT_S = 1.0


@asynccontextmanager
async def call_upstream(
    to_upstream: UpstreamBody, upstream: Upstream, image_tokens: Sequence[int]
) -> AsyncIterator[GatewayResponse]:
    """Call the upstream and give its answer; leaving the context drops the call.

    Raises UpstreamError, UpstreamTimeout, UpstreamUnavailable, or the upstream's own refusal of the request.
    """
    call = UpstreamRequest(to_upstream.path, to_upstream.body, to_upstream.streamed)
    async with upstream.answer(call) as told:
        if told.status != 200:
            raise error_from_upstream(told.status, await _read_all(told), told.headers)
        if to_upstream.streamed and told.content_type.startswith(EVENT_STREAM):
            passage = to_upstream.translator.stream(image_tokens)
            body = StreamingBody(_translate_stream(told, passage), passage.fail)
            yield GatewayResponse(200, EVENT_STREAM, body, {"cache-control": "no-cache", "x-accel-buffering": "no"})
        else:
            yield GatewayResponse(
                200, "application/json", to_upstream.translator.translate(await _read_all(told), image_tokens)
            )


async def _translate_stream(response: UpstreamResponse, stream: StreamTranslator) -> AsyncIterator[bytes]:
    while (chunk := await _next_chunk(response.chunks, stream)) is not None:
        ready = stream.feed(chunk)
        if ready:
            yield ready
    rest = stream.finish()
    if rest:
        yield rest


async def _next_chunk(chunks: AsyncIterator[bytes], stream: StreamTranslator) -> bytes | None:
    """Return the next chunk, None at the end; some servers keep the connection open behind their last word."""
    if not stream.complete:
        return await anext(chunks, None)
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            return await anext(chunks, None)
    except (TimeoutError, ObscuraError):
        return None


async def _read_all(response: UpstreamResponse) -> bytes:
    pieces: list[bytes] = []
    size_bytes = 0
    async for chunk in response.chunks:
        pieces.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > MAX_RESPONSE_BYTES:
            raise UpstreamError(f"The upstream's answer is over {MAX_RESPONSE_BYTES:,} bytes. Ask for less.")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
