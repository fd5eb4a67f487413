"""A network that asks again and again after a 429: it is refused from memory, and late, and costs the others little."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pytest

from obscura.auth.access import authenticate
from obscura.auth.base import Counter, QuotaStore
from obscura.auth.refusals import REPEATED, RecentRefusals
from obscura.errors import FreeTierExhausted
from tests.support.access_control import access_control, access_request

FREE = {"x-free-tier": "true"}
ATTEMPTS = 50


class MovableClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 28, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class CountedQuotas:
    """A store of quotas that counts how often it is asked."""

    def __init__(self, quotas: QuotaStore) -> None:
        self._quotas = quotas
        self.asked = 0

    async def reserve(self, counters: Sequence[Counter], at_s: int | None = None) -> int | None:
        self.asked += 1
        return await self._quotas.reserve(counters, at_s)


async def test_a_network_that_is_refused_repeatedly_is_refused_without_the_store(tmp_path: Path) -> None:
    clock = MovableClock()
    async with access_control(folder=tmp_path) as opened:
        quotas = CountedQuotas(opened.quotas)
        control = replace(opened, quotas=quotas, clock=clock, refusals=RecentRefusals(clock, delay_s=0.0))
        free = replace(access_request(FREE), uses_free_quota=True)
        await authenticate(free, control)

        for _ in range(ATTEMPTS):
            with pytest.raises(FreeTierExhausted) as refused:
                await authenticate(free, control)
        asked_in_a_second = quotas.asked
        clock.time += timedelta(seconds=2)
        with pytest.raises(FreeTierExhausted):
            await authenticate(free, control)
        asked_later = quotas.asked
        clock.time += timedelta(days=1)
        await authenticate(free, control)

    assert asked_in_a_second == 1 + REPEATED
    assert asked_later == asked_in_a_second + 1
    assert refused.value.retry_after_s == 12 * 60 * 60
    assert free.record.rate_limit.limit == 1


async def test_another_network_is_neither_refused_nor_delayed(tmp_path: Path) -> None:
    async with access_control(folder=tmp_path) as opened:
        control = replace(opened, refusals=RecentRefusals(opened.clock, delay_s=30.0))
        free = replace(access_request(FREE), uses_free_quota=True)
        await authenticate(free, control)
        for _ in range(REPEATED):
            with pytest.raises(FreeTierExhausted):
                await authenticate(free, control)

        admitted = await authenticate(replace(access_request(FREE, "198.51.100.1"), uses_free_quota=True), control)

    assert admitted.principal.anonymous


async def test_a_repeated_refusal_takes_its_time(tmp_path: Path) -> None:
    async with access_control(folder=tmp_path) as opened:
        control = replace(opened, refusals=RecentRefusals(opened.clock, delay_s=0.1))
        free = replace(access_request(FREE), uses_free_quota=True)
        await authenticate(free, control)
        for _ in range(REPEATED):
            with pytest.raises(FreeTierExhausted):
                await authenticate(free, control)

        began_s = perf_counter()
        with pytest.raises(FreeTierExhausted):
            await authenticate(free, control)

    assert perf_counter() - began_s >= 0.1
