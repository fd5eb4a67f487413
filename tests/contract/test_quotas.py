"""What every store of rates and places promises, whichever it is."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from obscura.auth.base import Counter, QuotaStore, Window
from tests.support.stores import STORES, OpenStores

TODAY = Window(86_400 * 20_000, 86_400)
TOMORROW = Window(TODAY.ends_at_s, 86_400)

each_store = pytest.mark.parametrize("open_stores", STORES, ids=lambda store: store.__name__)


def a_counter(limit: int = 5, subject: str = "free:a", window: Window = TODAY) -> Counter:
    return Counter(subject, window, limit)


def nested(name: str = "a", limit: int = 5) -> list[Counter]:
    """Counters as an IPv6 address has them: its own network's, and two around it."""
    return [a_counter(limit, f"64:{name}"), a_counter(limit * 8, "56:a"), a_counter(limit * 32, "48:a")]


async def taken_at_once(quotas: QuotaStore, counters: Sequence[Counter], callers: int) -> list[int]:
    """Let so many callers ask at once; gives what the ones that got a place were told is left."""
    response = await asyncio.gather(*[quotas.take(counters) for _ in range(callers)])
    return [left for left in response if left is not None]


@each_store
async def test_requests_are_counted_one_by_one(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        counts = [await stores.rates.count(a_counter()) for _ in range(3)]

        assert counts == [1, 2, 3]


@each_store
async def test_no_request_is_lost_or_counted_twice_when_many_come_at_once(
    open_stores: OpenStores, tmp_path: Path
) -> None:
    async with open_stores(tmp_path) as stores:
        counts = await asyncio.gather(*[stores.rates.count(a_counter()) for _ in range(100)])

        assert sorted(counts) == list(range(1, 101))


@each_store
async def test_subjects_and_windows_are_counted_apart(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        await stores.rates.count(a_counter())

        assert await stores.rates.count(a_counter(subject="free:b")) == 1
        assert await stores.rates.count(a_counter(window=TOMORROW)) == 1


@each_store
@pytest.mark.timeout(240)
@pytest.mark.parametrize("counters", [[a_counter(5)], nested()], ids=["IPv4", "IPv6"])
async def test_exactly_as_many_of_200_callers_pass_as_there_are_places_ten_times_in_a_row(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        for run in range(10):
            fresh = [replace(counter, subject=f"{counter.subject} in run {run}") for counter in counters]

            passed = await taken_at_once(stores.quotas, fresh, callers=200)

            assert len(passed) == 5
            assert await stores.quotas.taken(fresh) == [5] * len(fresh)


@each_store
async def test_a_taker_is_told_how_many_are_left(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        left = [await stores.quotas.take([a_counter(3)]) for _ in range(5)]

        assert left == [2, 1, 0, None, None]


@each_store
async def test_the_networks_around_have_ceilings_of_their_own(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        passed = [await stores.quotas.take(nested(f"host {number}", limit=1)) for number in range(10)]

        assert [left is not None for left in passed] == [True] * 8 + [False] * 2
        assert await stores.quotas.taken(nested("host 9", limit=1)) == [0, 8, 8]


@each_store
@pytest.mark.parametrize("counters", [[a_counter(2)], nested(limit=2)], ids=["IPv4", "IPv6"])
async def test_a_place_that_was_given_back_is_there_for_another(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        await taken_at_once(stores.quotas, counters, callers=3)

        await stores.quotas.give_back(counters)

        assert len(await taken_at_once(stores.quotas, counters, callers=3)) == 1


@each_store
@pytest.mark.parametrize("counters", [[a_counter(2)], nested(limit=2)], ids=["IPv4", "IPv6"])
async def test_giving_back_what_nobody_took_makes_no_place(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        for _ in range(3):
            await stores.quotas.give_back(counters)

        assert len(await taken_at_once(stores.quotas, counters, callers=5)) == 2


@each_store
@pytest.mark.parametrize("counters", [[a_counter(2)], nested(limit=2)], ids=["IPv4", "IPv6"])
async def test_places_that_are_forgotten_are_all_free_again(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        await taken_at_once(stores.quotas, counters, callers=3)

        await stores.quotas.forget(counters)

        assert await stores.quotas.taken(counters) == [0] * len(counters)
        assert len(await taken_at_once(stores.quotas, counters, callers=3)) == 2


@each_store
async def test_the_next_window_has_all_its_places_whatever_the_last_one_left(
    open_stores: OpenStores, tmp_path: Path
) -> None:
    async with open_stores(tmp_path) as stores:
        await taken_at_once(stores.quotas, [a_counter(2)], callers=3)

        passed = await taken_at_once(stores.quotas, [a_counter(2, window=TOMORROW)], callers=3)

        assert len(passed) == 2


@each_store
async def test_the_address_secret_is_made_once_however_many_ask(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        secrets = await asyncio.gather(*[stores.address_secret.read() for _ in range(20)])

        assert len(set(secrets)) == 1
        assert len(secrets[0]) == 32
        assert list(await stores.keys.all()) == []
