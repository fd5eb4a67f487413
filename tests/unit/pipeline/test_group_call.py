"""A call of a group that ends early: by its deadline, or since its caller went away."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from obscura.access_record import AccessRecord
from obscura.dialects.base import UpstreamBody
from obscura.dialects.chat.events import PASSTHROUGH
from obscura.pipeline.fallback import GroupCall
from obscura.upstreams.base import CatalogModel, ModelListing, UpstreamResponse
from obscura.upstreams.breaker import CircuitBreaker
from obscura.upstreams.catalog_group import grouped


class SilentUpstream:
    """Never answers; ``cancelled`` counts the calls that were dropped."""

    def __init__(self) -> None:
        self.asked = self.cancelled = 0

    async def models(self) -> Sequence[ModelListing]:
        return ()

    async def send(self, request: UpstreamBody) -> UpstreamResponse:
        self.asked += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return b""

    def token_limit_field(self, model: str) -> str | None:
        return None


def a_call(upstream: SilentUpstream, breaker: CircuitBreaker, expires_at_s: float | None = None) -> GroupCall:
    member = CatalogModel("m", upstream, upstream_name="a", breaker=breaker)
    group = grouped("m", [member, replace(member, upstream_name="b", breaker=CircuitBreaker())], "fallback")
    body = UpstreamBody("chat", b"{}", False, PASSTHROUGH)
    return GroupCall(group, lambda _member: body, False, [], AccessRecord("r"), expires_at_s)


async def test_a_deadline_that_ends_a_silent_call_counts_as_its_failure() -> None:
    upstream, breaker = SilentUpstream(), CircuitBreaker(1)
    expires_at_s = asyncio.get_running_loop().time() + 0.02
    with pytest.raises(TimeoutError):
        async with asyncio.timeout_at(expires_at_s):
            await a_call(upstream, breaker, expires_at_s).response()

    assert (upstream.asked, upstream.cancelled, breaker.is_closed) == (1, 1, False)


async def test_a_caller_who_goes_away_shows_nothing_of_the_upstream() -> None:
    upstream, breaker = SilentUpstream(), CircuitBreaker(1)
    in_an_hour_s = asyncio.get_running_loop().time() + 3600
    calling = asyncio.create_task(a_call(upstream, breaker, in_an_hour_s).response())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling

    assert (upstream.asked, upstream.cancelled, breaker.is_closed) == (1, 1, True)
