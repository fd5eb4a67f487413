"""Call the upstream and translate its response, whole or as it streams."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.dialects.base import CallerDialect, StreamTranslator, UpstreamBody
from obscura.errors import ObscuraError
from obscura.execution import run_off_loop
from obscura.pipeline.request import GatewayRequest, GatewayResponse, StreamingBody
from obscura.pipeline.services import Services
from obscura.upstreams.base import CatalogModel, Upstream
from obscura.upstreams.headers import IDEMPOTENCY_KEY, request_headers, request_query

UPSTREAM_HEADER = "x-obscura-upstream"
"""The catalog's name of the upstream that answered."""

EVENT_STREAM = "text/event-stream"
CLOSE_TIMEOUT_S = 1.0
OFF_LOOP_BYTES = 16 * 1024
MAX_CHUNKS_AT_ONCE = 32
MAX_FEED_BYTES = 4 * 1024
"""Of a stream, what is translated at once: at ten bytes an event and 10 µs for each, 4 ms."""


def passed_on(
    request: GatewayRequest, principal: Principal, dialect: CallerDialect, services: Services, body: UpstreamBody
) -> UpstreamBody:
    """Add what of the request's headers and query goes on to an upstream that speaks its own dialect (ADR 120)."""
    if body.dialect != dialect.name:
        return body
    chosen = services.limits.passed_headers
    if principal.zero_retention:
        chosen -= {IDEMPOTENCY_KEY}  # by it the upstream would keep the answer
    headers = request_headers(request.head.headers, body.dialect, chosen, principal.project)
    query = request_query(request.head.query, body.dialect)
    return replace(body, headers=headers, query=query) if headers or query else body


async def call_model(
    request: UpstreamBody, model: CatalogModel, image_tokens: Sequence[int], record: AccessRecord
) -> GatewayResponse:
    """Call a model's upstream as ``call_upstream`` does; the response or the error names it, if it has a name."""
    name = record.upstream = model.upstream_name
    try:
        response = await call_upstream(request, model.upstream, image_tokens)
    except ObscuraError as error:
        record.upstream_calls.append((name, error.code))
        if name is not None:
            error.headers[UPSTREAM_HEADER] = name
        raise
    except asyncio.CancelledError:
        record.upstream_calls.append((name, "cancelled"))
        raise
    record.upstream_calls.append((name, "ok"))
    if name is not None:
        response.headers[UPSTREAM_HEADER] = name
    return response


async def call_upstream(request: UpstreamBody, upstream: Upstream, image_tokens: Sequence[int]) -> GatewayResponse:
    """Call the upstream and return its response, to be closed in any case.

    Raises UpstreamError, UpstreamTimeout, UpstreamUnavailable, or the upstream's own error about the request.
    """
    response = await upstream.send(request)
    if isinstance(response, bytes):
        body = await run_off_loop(
            lambda: request.translator.translate(response, image_tokens), off_loop=len(response) > OFF_LOOP_BYTES
        )
        return GatewayResponse(200, "application/json", body, request.received)
    translator = request.translator.stream(image_tokens)
    streaming = StreamingBody(_translate_stream(response.chunks, translator), translator.fail, response.aclose)
    headers = request.received | {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return GatewayResponse(200, EVENT_STREAM, streaming, headers)


async def _translate_stream(chunks: AsyncIterator[bytes], translator: StreamTranslator) -> AsyncIterator[bytes]:
    held_bytes = received = 0
    while (chunk := await _next_chunk(chunks, translator)) is not None:
        received += 1
        if not received % MAX_CHUNKS_AT_ONCE:
            await asyncio.sleep(0)  # chunks that are there already are passed on without a pause
        for start in range(0, len(chunk), MAX_FEED_BYTES):
            piece = chunk[start : start + MAX_FEED_BYTES]
            # What was held back is read again as one event when its end is there.
            events = await run_off_loop(partial(translator.feed, piece), off_loop=held_bytes > OFF_LOOP_BYTES)
            held_bytes = 0 if events else held_bytes + len(piece)
            if events:
                yield events
            if start:
                await asyncio.sleep(0)  # others go on between two pieces
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
