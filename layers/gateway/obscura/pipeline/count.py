"""Counting: the road of a request whose tokens are asked for, without a model's answer and without a quota."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from obscura.pipeline.gateway import Gateway
from obscura.pipeline.relay import relay
from obscura.pipeline.request import Answer, InboundRequest
from obscura.pipeline.road import knock, let_through, take_in
from obscura.pipeline.stay import let_in
from obscura.wire.dialect import Ask, Dialect

ESTIMATE_HEADER = "x-token-estimate"


class CountableAsk(Ask, Protocol):
    """A parsed request whose tokens can be counted."""

    def counted_by(self, dialects: Collection[str]) -> bool:
        """Whether an upstream that speaks ``dialects`` counts by itself, asked with ``outbound``."""
        ...

    def estimate(self, image_tokens: Sequence[int]) -> bytes:
        """Write the answer that is made without an upstream, and that says so."""
        ...


@asynccontextmanager
async def count_tokens(
    request: InboundRequest, dialect: Dialect[CountableAsk], gateway: Gateway
) -> AsyncIterator[Answer]:
    """Count a request's tokens; only what goes to an upstream, one that counts by itself, is moderated first.

    Raises an ObscuraError for every answer other than the one asked for.
    """
    async with let_in(knock(request, dialect, takes_place=False), gateway.door) as caller:
        taken = await take_in(request, caller, dialect, gateway)
        if not taken.ask.counted_by(taken.model.dialects):
            headers = {**taken.headers, ESTIMATE_HEADER: "true"}
            yield Answer(200, "application/json", taken.ask.estimate(taken.image_tokens), headers)
            return
        outbound = await let_through(taken, request, gateway)
        with request.journal.step("relay"):
            async with relay(outbound, taken.model.upstream, ()) as told:
                told.headers.update(taken.headers)
                yield told
