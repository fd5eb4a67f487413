"""Relay: the upstream's answer, passed on as it arrives; what the upstream gets wrong, told in Obscura's codes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from obscura.errors import ObscuraError, UpstreamError
from obscura.pipeline.refusals import refusal_of
from obscura.pipeline.request import Answer, StreamedBody
from obscura.ports import Upstream, UpstreamAnswer, UpstreamCall
from obscura.wire.dialect import Outbound, StreamPassage

LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
EVENT_STREAM = "text/event-stream"
CLOSES_WITHIN_S = 1.0


@asynccontextmanager
async def relay(outbound: Outbound, upstream: Upstream, image_tokens: Sequence[int]) -> AsyncIterator[Answer]:
    """Call the upstream and give its answer; leaving the context drops the call.

    Raises UpstreamError, UpstreamTimeout, UpstreamUnavailable, or the upstream's own refusal of the request.
    """
    call = UpstreamCall(outbound.path, outbound.body, outbound.streamed)
    async with upstream.answer(call) as told:
        if told.status != 200:
            raise refusal_of(told.status, await _whole(told), told.headers)
        if outbound.streamed and told.content_type.startswith(EVENT_STREAM):
            passage = outbound.reply.passage(image_tokens)
            body = StreamedBody(_passed(told, passage), passage.fail)
            yield Answer(200, EVENT_STREAM, body, {"cache-control": "no-cache", "x-accel-buffering": "no"})
        else:
            yield Answer(200, "application/json", outbound.reply.answer(await _whole(told), image_tokens))


async def _passed(told: UpstreamAnswer, passage: StreamPassage) -> AsyncIterator[bytes]:
    while (chunk := await _next(told.chunks, passage)) is not None:
        ready = passage.feed(chunk)
        if ready:
            yield ready
    rest = passage.finish()
    if rest:
        yield rest


async def _next(chunks: AsyncIterator[bytes], passage: StreamPassage) -> bytes | None:
    """Give the next chunk, None at the end; some servers keep the connection open behind their last word."""
    if not passage.ended:
        return await anext(chunks, None)
    try:
        async with asyncio.timeout(CLOSES_WITHIN_S):
            return await anext(chunks, None)
    except (TimeoutError, ObscuraError):
        return None


async def _whole(told: UpstreamAnswer) -> bytes:
    pieces: list[bytes] = []
    size_bytes = 0
    async for chunk in told.chunks:
        pieces.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > LARGEST_ANSWER_BYTES:
            raise UpstreamError(f"The upstream's answer is over {LARGEST_ANSWER_BYTES:,} bytes. Ask for less.")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
