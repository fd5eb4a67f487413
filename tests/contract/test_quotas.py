"""The contract of every rate counter and every quota store."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from obscura.auth.base import Counter, Paused, QuotaStore, Window
from tests.support.stores import STORES, OpenStores, dynamodb

TODAY = Window(86_400 * 20_000, 86_400)
TOMORROW = Window(TODAY.ends_at_s, 86_400)

each_store = pytest.mark.parametrize("open_stores", STORES, ids=lambda store: store.__name__)


def a_counter(limit: int = 5, subject: str = "free:a", window: Window = TODAY) -> Counter:
    return Counter(subject, window, limit)


def nested(name: str = "a", limit: int = 5) -> list[Counter]:
    """Counters as those of an IPv6 address: of its /64, and of the two larger networks."""
    return [a_counter(limit, f"64:{name}"), a_counter(limit * 8, "56:a"), a_counter(limit * 32, "48:a")]


async def reserved_at_once(quotas: QuotaStore, counters: Sequence[Counter], callers: int) -> list[int]:
    """Reserve so many times concurrently; return what was left after each reservation that succeeded."""
    reservations = await asyncio.gather(*[quotas.reserve(counters) for _ in range(callers)])
    return [left for left in reservations if left is not None]


@each_store
async def test_requests_are_counted_one_by_one(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        counts = [await stores.rates.increment("key:a", TODAY) for _ in range(3)]

        assert counts == [1, 2, 3]


@each_store
async def test_concurrent_requests_are_each_counted_once(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        counts = await asyncio.gather(*[stores.rates.increment("key:a", TODAY) for _ in range(100)])

        assert sorted(counts) == list(range(1, 101))


@each_store
async def test_subjects_and_windows_are_counted_separately(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        await stores.rates.increment("key:a", TODAY)

        assert await stores.rates.increment("key:b", TODAY) == 1
        assert await stores.rates.increment("key:a", TOMORROW) == 1


@each_store
async def test_a_clock_that_is_set_back_finds_todays_counts(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        await stores.rates.increment("key:a", TODAY)
        await stores.quotas.reserve([a_counter(limit=1)])

        await stores.rates.increment("key:b", TOMORROW)
        await stores.quotas.reserve([a_counter(subject="free:b", window=TOMORROW)])
        await stores.quotas.reserve([a_counter(subject="free:b", window=Window(TOMORROW.ends_at_s, 86_400))])

        assert await stores.rates.increment("key:a", TODAY) == 2
        assert await stores.quotas.reserve([a_counter(limit=1)]) is None


@each_store
@pytest.mark.timeout(900)  # moto takes hundreds of transactions one by one, and any machine its own time
@pytest.mark.parametrize("counters", [[a_counter(5)], nested()], ids=["IPv4", "IPv6"])
async def test_of_200_concurrent_callers_exactly_the_limit_passes_each_time(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        for run in range(2 if open_stores is dynamodb else 10):  # moto takes 40 s for ten
            fresh = [replace(counter, subject=f"{counter.subject} in run {run}") for counter in counters]

            passed = await reserved_at_once(stores.quotas, fresh, callers=200)

            assert len(passed) == 5
            assert await stores.quotas.used(fresh) == [5] * len(fresh)


@each_store
async def test_a_reservation_returns_how_many_are_left(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        left = [await stores.quotas.reserve([a_counter(3)]) for _ in range(5)]

        assert left == [2, 1, 0, None, None]


@each_store
async def test_the_larger_networks_have_their_own_limits(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        passed = [await stores.quotas.reserve(nested(f"host {number}", limit=1)) for number in range(10)]

        assert [left is not None for left in passed] == [True] * 8 + [False] * 2
        assert await stores.quotas.used(nested("host 9", limit=1)) == [0, 8, 8]


@each_store
@pytest.mark.parametrize("counters", [[a_counter(2)], nested(limit=2)], ids=["IPv4", "IPv6"])
async def test_a_released_request_can_be_reserved_again(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        await reserved_at_once(stores.quotas, counters, callers=3)

        await stores.quotas.release(counters)

        assert len(await reserved_at_once(stores.quotas, counters, callers=3)) == 1


@each_store
@pytest.mark.parametrize("counters", [[a_counter(2)], nested(limit=2)], ids=["IPv4", "IPv6"])
async def test_releasing_without_a_reservation_adds_nothing(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        for _ in range(3):
            await stores.quotas.release(counters)

        assert len(await reserved_at_once(stores.quotas, counters, callers=5)) == 2


@each_store
@pytest.mark.parametrize("counters", [[a_counter(2)], nested(limit=2)], ids=["IPv4", "IPv6"])
async def test_after_a_reset_all_requests_can_be_reserved_again(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        await reserved_at_once(stores.quotas, counters, callers=3)

        await stores.quotas.reset(counters)

        assert await stores.quotas.used(counters) == [0] * len(counters)
        assert len(await reserved_at_once(stores.quotas, counters, callers=3)) == 2


@each_store
async def test_the_next_window_starts_at_zero(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        await reserved_at_once(stores.quotas, [a_counter(2)], callers=3)

        passed = await reserved_at_once(stores.quotas, [a_counter(2, window=TOMORROW)], callers=3)

        assert len(passed) == 2


@each_store
async def test_concurrent_readers_create_one_address_secret(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        secrets = await asyncio.gather(*[stores.address_secret.read() for _ in range(20)])

        assert len(set(secrets)) == 1
        assert len(secrets[0]) == 32
        assert list(await stores.keys.list_all()) == []


def refunds_of(counters: Sequence[Counter], limit: int = 3) -> list[Counter]:
    return [
        Counter(f"{counter.subject}#refunds", counter.window, limit * (counter.limit // counters[0].limit))
        for counter in counters
    ]


@each_store
@pytest.mark.timeout(120)
@pytest.mark.parametrize("counters", [[a_counter(12)], nested(limit=12)], ids=["IPv4", "IPv6"])
async def test_of_12_concurrent_refunds_exactly_the_limit_is_given_back(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        await reserved_at_once(stores.quotas, counters, callers=12)
        refunds = refunds_of(counters)

        given_back = await asyncio.gather(*[stores.quotas.release(counters, refunds) for _ in range(12)])

        assert sorted(given_back) == [False] * 9 + [True] * 3
        assert await stores.quotas.used([*counters, *refunds]) == [9] * len(counters) + [3] * len(refunds)


@each_store
async def test_the_larger_networks_have_their_own_limits_of_refunds(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        hosts = [nested(f"host {number}", limit=1) for number in range(10)]
        given_back = []
        for counters in hosts:
            await stores.quotas.reserve(counters)
            given_back.append(await stores.quotas.release(counters, refunds_of(counters, limit=1)))

        assert given_back == [True] * 8 + [False] * 2
        assert await stores.quotas.used(hosts[-1]) == [1, 2, 2]


@each_store
@pytest.mark.parametrize("counters", [[a_counter(2)], nested(limit=2)], ids=["IPv4", "IPv6"])
async def test_without_refunds_or_a_reservation_nothing_is_given_back(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        refunds = refunds_of(counters)

        assert await stores.quotas.release(counters, refunds) is False
        assert await stores.quotas.used(refunds) == [0] * len(refunds)
        await stores.quotas.reserve(counters)
        assert await stores.quotas.release(counters, refunds_of(counters, limit=0)) is False
        assert await stores.quotas.used(counters) == [1] * len(counters)


@each_store
@pytest.mark.parametrize("counters", [[a_counter(2)], nested(limit=2)], ids=["IPv4", "IPv6"])
async def test_a_pause_of_any_network_holds_until_its_end_and_a_reset_ends_it(
    open_stores: OpenStores, tmp_path: Path, counters: list[Counter]
) -> None:
    async with open_stores(tmp_path) as stores:
        at_s = TODAY.begins_at_s + 100
        await stores.quotas.pause(counters[-1], at_s + 60)
        await stores.quotas.pause(counters[-1], at_s + 30)

        with pytest.raises(Paused) as paused:
            await stores.quotas.reserve(counters, at_s + 59)
        assert paused.value.until_s == at_s + 60
        assert await stores.quotas.used(counters) == [0] * len(counters)
        assert await stores.quotas.reserve(counters, at_s + 60) == 1
        await stores.quotas.reset(counters)
        assert await stores.quotas.reserve(counters, at_s) == 1


@each_store
async def test_a_shared_counter_has_its_limit_under_any_concurrency(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        reserved = await asyncio.gather(*[stores.quotas.reserve_shared(a_counter()) for _ in range(20)])
        await stores.quotas.release_shared(a_counter())

        assert sorted(left for left in reserved if left is not None) == [0, 1, 2, 3, 4]
        assert await stores.quotas.used([a_counter()]) == [4]
        assert await stores.quotas.reserve_shared(a_counter()) == 0


@each_store
async def test_a_shared_counter_at_zero_stays_there(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        await stores.quotas.release_shared(a_counter())
        await stores.quotas.reserve_shared(a_counter())
        await stores.quotas.release_shared(a_counter())
        await stores.quotas.release_shared(a_counter())

        assert await stores.quotas.used([a_counter()]) == [0]
