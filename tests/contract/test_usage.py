"""The contract of every store of usage and of budgets."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from obscura.auth.api_keys import create_key, key_digest
from obscura.usage.base import Budget, BudgetCounter, BudgetExceeded, UsageCounts, UsageKey, UsageRow, counter_at
from tests.support.stores import STORES, OpenStores

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
TODAY = NOON.date()

each_store = pytest.mark.parametrize("open_stores", STORES, ids=lambda store: store.__name__)


def a_row(subject: str = "key_a", model: str = "m1", day: date = TODAY, **counts: int) -> UsageRow:
    return UsageRow(UsageKey(subject, "acme", model, day), UsageCounts(**({"requests": 1} | counts)))


def a_counter(limit: int, counted: str = "tokens", window: str = "day", subject: str = "key_a") -> BudgetCounter:
    return counter_at(Budget(counted, window, limit), subject, NOON)  # type: ignore[arg-type]


def shown(rows: Sequence[UsageRow]) -> list[tuple[str, str, int, int]]:
    return [(row.key.subject, row.key.model, row.counts.requests, row.counts.input_tokens) for row in rows]


@each_store
async def test_usage_is_added_up_by_key_model_and_day(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        usage = stores.usage
        await usage.add([a_row(input_tokens=5), a_row(model="m/2:x", input_tokens=7)])
        await asyncio.gather(*[usage.add([a_row(input_tokens=1)]) for _ in range(20)])
        await usage.add([a_row("key_b"), a_row(day=TODAY - timedelta(days=3)), a_row(day=TODAY - timedelta(days=40))])

        all_keys = await usage.rows(TODAY - timedelta(days=29), TODAY)
        one = await usage.rows(TODAY, TODAY, "key_a")

        assert [row.key.day for row in all_keys] == [TODAY - timedelta(days=3), TODAY, TODAY, TODAY]
        assert shown(all_keys)[1:] == [("key_a", "m/2:x", 1, 7), ("key_a", "m1", 21, 25), ("key_b", "m1", 1, 0)]
        assert shown(one) == [("key_a", "m/2:x", 1, 7), ("key_a", "m1", 21, 25)]
        assert one[0].key.project == "acme"


@each_store
async def test_every_count_is_kept(open_stores: OpenStores, tmp_path: Path) -> None:
    counts = UsageCounts(1, 2, 3, 4, 5, 6, 7)
    async with open_stores(tmp_path) as stores:
        await stores.usage.add([UsageRow(a_row().key, counts)])

        [row] = await stores.usage.rows(TODAY, TODAY)

        assert row.counts == counts


@each_store
async def test_200_callers_at_once_take_no_more_than_the_budget_has(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        counters = [a_counter(1_000), a_counter(5_000, "cost", "month")]

        async def reserve() -> bool:
            try:
                await stores.budgets.reserve([(counters[0], 30), (counters[1], 11)])
            except BudgetExceeded as exceeded:
                assert exceeded.counter == counters[0]
                return False
            return True

        admitted = [await each for each in asyncio.as_completed([reserve() for _ in range(200)])]

        assert sum(admitted) == 1_000 // 30
        assert await stores.budgets.used(counters) == [33 * 30, 33 * 11]


@each_store
async def test_what_is_left_is_reported_for_one_budget(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        assert await stores.budgets.reserve([(a_counter(100), 40)]) == [60]
        with pytest.raises(BudgetExceeded):
            await stores.budgets.reserve([(a_counter(100), 61)])
        assert await stores.budgets.reserve([(a_counter(100), 60)]) == [0]


@each_store
async def test_more_than_the_whole_budget_is_never_reserved(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        with pytest.raises(BudgetExceeded):
            await stores.budgets.reserve([(a_counter(100), 101)])
        with pytest.raises(BudgetExceeded):
            await stores.budgets.reserve([(a_counter(100), 1), (a_counter(5, "cost"), 6)])

        assert await stores.budgets.used([a_counter(100), a_counter(5, "cost")]) == [0, 0]


@each_store
async def test_a_settlement_goes_past_the_limit_and_the_next_request_pays(
    open_stores: OpenStores, tmp_path: Path
) -> None:
    async with open_stores(tmp_path) as stores:
        counter = a_counter(100)
        await stores.budgets.reserve([(counter, 50)])
        await stores.budgets.settle([(counter, 70)])
        assert await stores.budgets.used([counter]) == [120]
        with pytest.raises(BudgetExceeded):
            await stores.budgets.reserve([(counter, 1)])

        await stores.budgets.settle([(counter, -500)])

        assert await stores.budgets.used([counter]) == [0]


@each_store
async def test_settlements_at_once_are_exact(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        counter = a_counter(10_000)
        await stores.budgets.reserve([(counter, 2_000)])
        await asyncio.gather(*[stores.budgets.settle([(counter, -13 if number % 2 else 5)]) for number in range(40)])

        assert await stores.budgets.used([counter]) == [2_000 - 20 * 13 + 20 * 5]


@each_store
async def test_budgets_of_a_key_are_kept_with_it(open_stores: OpenStores, tmp_path: Path) -> None:
    budgets = (Budget("tokens", "day", 1_000), Budget("cost", "month", 5_000_000))
    async with open_stores(tmp_path) as stores:
        _, secret = await create_key(stores.keys, "acme", budgets=budgets)

        found = await stores.keys.find(key_digest(secret))

        assert found is not None
        assert found.budgets == budgets


def test_windows_are_calendar_days_and_months_in_utc() -> None:
    day, month = a_counter(1), a_counter(1, window="month")

    assert (day.begins_at_s, day.ends_at_s) == tuple(
        int(datetime(2026, *at, tzinfo=UTC).timestamp()) for at in ((3, 31), (4, 1))
    )
    assert (month.begins_at_s, month.ends_at_s) == tuple(
        int(datetime(2026, *at, tzinfo=UTC).timestamp()) for at in ((3, 1), (4, 1))
    )
