"""The contract of every store of policies, of rollout counters and of quota counters."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from obscura.policy.base import PolicyStores
from obscura.policy.document import PolicyDocument
from obscura.policy.parse import parse_document
from obscura.policy.quotas import QuotaCounter, window_at
from obscura.policy.rollout import RolloutCount
from obscura.policy.versions import PolicyVersion, next_version, record_of, revert
from obscura.stores.open import local_stores
from obscura.stores.sqlite.database import open_database
from tests.support.stores import STORES, OpenStores, sqlite_file

type OpenPolicies = Callable[[Path], AbstractAsyncContextManager[PolicyStores]]

NOON = datetime(2026, 3, 1, 12, 0, 0, 7, tzinfo=UTC)
MINUTE = int(NOON.timestamp()) // 60


def policies_of(open_stores: OpenStores) -> OpenPolicies:
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[PolicyStores]:
        async with open_stores(folder) as stores:
            yield stores.open_policies()

    opened.__name__ = open_stores.__name__
    return opened


each_store = pytest.mark.parametrize(
    "open_policies", [policies_of(store) for store in STORES], ids=lambda store: store.__name__
)


def a_document(policy_id: str = "p1", **fields: Any) -> PolicyDocument:
    return parse_document({"policy_id": policy_id, "name": "Größe"} | fields)


def a_version(number: int = 1, policy_id: str = "p1", **fields: Any) -> PolicyVersion:
    version = next_version(a_document(policy_id, **fields), None, NOON + timedelta(seconds=number))
    return PolicyVersion(number, version.document, version.sha256, version.created_at)


def a_counter(limit: int = 5, subject: str = "acme/ann", window: Any = "day", policy_id: str = "p1") -> QuotaCounter:
    return QuotaCounter("user_quota", "policy", policy_id, subject, "requests", window_at(window, NOON), limit)


@each_store
async def test_an_empty_store_has_no_policy(open_policies: OpenPolicies, tmp_path: Path) -> None:
    async with open_policies(tmp_path) as stores:
        assert list(await stores.versions.policy_ids()) == []
        assert list(await stores.versions.records("p1")) == []
        assert await stores.versions.version("p1", 1) is None
        assert await stores.versions.project_policy("acme") is None


@each_store
async def test_a_version_is_read_as_it_was_added(open_policies: OpenPolicies, tmp_path: Path) -> None:
    rules = {"denylist": ["wire transfer", "été \U0001f600"], "actions": {"denylist": "flag"}}
    first = a_version(rules=rules, org_controls={"user_quota": [{"requests": 5}, {"tokens": 7, "window": "month"}]})
    second = revert(first, first, NOON + timedelta(days=1))
    async with open_policies(tmp_path) as stores:
        assert await stores.versions.add(first)
        assert await stores.versions.add(second)

        found = [await stores.versions.version("p1", number) for number in (1, 2, 3)]
        assert found == [first, second, None]
        assert found[0].document.model_fields_set == first.document.model_fields_set
        assert found[0].created_at.utcoffset() == timedelta(0)
        assert list(await stores.versions.records("p1")) == [record_of(first), record_of(second)]


@each_store
async def test_versions_are_in_the_order_of_their_numbers(open_policies: OpenPolicies, tmp_path: Path) -> None:
    async with open_policies(tmp_path) as stores:
        for number in (1, 10, 2, 9, 11):
            await stores.versions.add(a_version(number, draft=number == 2))

        records = await stores.versions.records("p1")
        assert [(one.number, one.draft) for one in records] == [
            (1, False),
            (2, True),
            (9, False),
            (10, False),
            (11, False),
        ]


@each_store
async def test_each_policy_has_versions_of_its_own(open_policies: OpenPolicies, tmp_path: Path) -> None:
    ids = ["p1", "p10", "P1", "p1.a:b-c_d", "ids"]
    async with open_policies(tmp_path) as stores:
        for policy_id in ids:
            await stores.versions.add(a_version(policy_id=policy_id))

        assert list(await stores.versions.policy_ids()) == sorted(ids)
        assert [one.number for one in await stores.versions.records("p1")] == [1]
        assert (await stores.versions.version("P1", 1)).document.policy_id == "P1"


@each_store
async def test_a_version_never_changes(open_policies: OpenPolicies, tmp_path: Path) -> None:
    first = a_version(name="first")
    async with open_policies(tmp_path) as stores:
        await stores.versions.add(first)

        assert await stores.versions.add(a_version(name="second")) is False

        assert await stores.versions.version("p1", 1) == first
        assert [one.name for one in await stores.versions.records("p1")] == ["first"]


@each_store
async def test_of_concurrent_saves_of_a_number_exactly_one_is_stored(
    open_policies: OpenPolicies, tmp_path: Path
) -> None:
    async with open_policies(tmp_path) as stores:
        saves = [a_version(1, name=f"save {number}") for number in range(50)]

        added = await asyncio.gather(*[stores.versions.add(save) for save in saves])

        assert added.count(True) == 1
        assert await stores.versions.version("p1", 1) == saves[added.index(True)]


@each_store
async def test_the_largest_document_is_stored_whole(open_policies: OpenPolicies, tmp_path: Path) -> None:
    lists = {name: [secrets.token_hex(12) for _ in range(10_000)] for name in ("denylist", "allowlist", "redact_terms")}
    version = a_version(rules=lists)
    async with open_policies(tmp_path) as stores:
        await stores.versions.add(version)

        rules = (await stores.versions.version("p1", 1)).document.rules
        assert {name: list(getattr(rules, name)) for name in lists} == lists


@each_store
@pytest.mark.parametrize("project", ["acme", "", "a'b\"; DROP TABLE policies --", "team é/\U0001f600", "x" * 2000])
async def test_a_project_has_the_policy_that_it_was_last_assigned(
    open_policies: OpenPolicies, tmp_path: Path, project: str
) -> None:
    async with open_policies(tmp_path) as stores:
        assigned = []
        for policy_id in ("p1", "p2", None, None):
            await stores.versions.assign_project(project, policy_id)
            assigned.append(await stores.versions.project_policy(project))

        assert assigned == ["p1", "p2", None, None]
        assert await stores.versions.project_policy(f"{project}.") is None


@each_store
async def test_concurrent_counts_of_a_minute_are_each_added(open_policies: OpenPolicies, tmp_path: Path) -> None:
    async with open_policies(tmp_path) as stores:
        counts = [RolloutCount(1, int(number % 4 == 0)) for number in range(100)]

        await asyncio.gather(*[stores.rollouts.add("p1", 3, MINUTE, count) for count in counts])

        assert await stores.rollouts.counts("p1", 3, [MINUTE]) == {MINUTE: RolloutCount(100, 25)}


@each_store
async def test_minutes_versions_and_policies_are_counted_apart(open_policies: OpenPolicies, tmp_path: Path) -> None:
    async with open_policies(tmp_path) as stores:
        for minute in (0, 1, 59, 60, 61, 1439):
            await stores.rollouts.add("p1", 3, MINUTE + minute, RolloutCount(minute + 1, 1))
        await stores.rollouts.add("p1", 30, MINUTE, RolloutCount(7, 0))
        await stores.rollouts.add("p2", 3, MINUTE, RolloutCount(8, 0))

        day = range(MINUTE, MINUTE + 1440)
        assert await stores.rollouts.counts("p1", 3, day) == {
            MINUTE + minute: RolloutCount(minute + 1, 1) for minute in (0, 1, 59, 60, 61, 1439)
        }
        assert await stores.rollouts.counts("p1", 30, day) == {MINUTE: RolloutCount(7, 0)}
        assert await stores.rollouts.counts("p1", 3, [MINUTE + 2]) == {}
        assert await stores.rollouts.counts("p1", 3, []) == {}


@each_store
async def test_a_rollback_is_recorded_by_one_of_many_processes(open_policies: OpenPolicies, tmp_path: Path) -> None:
    at_s = NOON.timestamp() + 0.123456
    async with open_policies(tmp_path) as stores:
        assert await stores.rollouts.rolled_back_at_s("p1", 3) is None

        first = await asyncio.gather(*[stores.rollouts.roll_back("p1", 3, at_s + n, None) for n in range(20)])
        kept = await stores.rollouts.rolled_back_at_s("p1", 3)
        second = await asyncio.gather(*[stores.rollouts.roll_back("p1", 3, at_s + 3600 + n, kept) for n in range(20)])

        assert first.count(True) == second.count(True) == 1
        assert kept == pytest.approx(at_s + first.index(True), abs=1e-6)
        later = await stores.rollouts.rolled_back_at_s("p1", 3)
        assert later == pytest.approx(at_s + 3600 + second.index(True), abs=1e-6)
        assert await stores.rollouts.roll_back("p1", 3, at_s + 9000, kept) is False
        assert await stores.rollouts.rolled_back_at_s("p1", 4) is None


@each_store
@pytest.mark.parametrize("count", [1, 3])
async def test_of_concurrent_requests_exactly_the_quota_passes(
    open_policies: OpenPolicies, tmp_path: Path, count: int
) -> None:
    counters = [a_counter(5), a_counter(1000, window="month"), a_counter(2000, "acme")][:count]
    limits = {counter.key: counter.limit for counter in counters}
    async with open_policies(tmp_path) as stores:
        used_up = await asyncio.gather(*[stores.quotas.reserve(limits, NOON) for _ in range(100)])

        assert used_up.count(None) == 5
        assert set(used_up) == {None, counters[0].key}
        assert await stores.quotas.used(list(limits)) == dict.fromkeys(limits, 5)


@each_store
async def test_a_quota_that_is_used_up_leaves_the_others_as_they_are(
    open_policies: OpenPolicies, tmp_path: Path
) -> None:
    wide, narrow, none = a_counter(9), a_counter(1, "acme"), a_counter(0, "zero")
    async with open_policies(tmp_path) as stores:
        both = {wide.key: 9, narrow.key: 1}
        assert await stores.quotas.reserve(both, NOON) is None
        assert await stores.quotas.reserve(both, NOON) == narrow.key
        assert await stores.quotas.reserve({wide.key: 9, none.key: 0}, NOON) == none.key
        assert await stores.quotas.reserve({}, NOON) is None

        assert await stores.quotas.used([wide.key, narrow.key, none.key]) == {wide.key: 1, narrow.key: 1}
        assert await stores.quotas.used([]) == {}


@each_store
async def test_tokens_are_added_past_a_limit_and_never_below_zero(open_policies: OpenPolicies, tmp_path: Path) -> None:
    tokens, requests, other = a_counter(10), a_counter(5, "acme"), a_counter(5, "other#user", "week")
    async with open_policies(tmp_path) as stores:
        await stores.quotas.add({tokens.key: 7, requests.key: 1}, NOON)
        await stores.quotas.add({tokens.key: 9, requests.key: -3, other.key: -1}, NOON)

        used = await stores.quotas.used([tokens.key, requests.key, other.key])
        assert {key: count for key, count in used.items() if count} == {tokens.key: 16}


@each_store
async def test_concurrent_settlements_are_each_added(open_policies: OpenPolicies, tmp_path: Path) -> None:
    counter = a_counter(10)
    async with open_policies(tmp_path) as stores:
        await stores.quotas.add({counter.key: 50}, NOON)
        changes = [3, -1] * 25
        await asyncio.gather(*[stores.quotas.add({counter.key: change}, NOON) for change in changes])

        assert await stores.quotas.used([counter.key]) == {counter.key: 100}


@each_store
async def test_a_new_window_begins_at_zero(open_policies: OpenPolicies, tmp_path: Path) -> None:
    today = a_counter(1)
    tomorrow = QuotaCounter(
        "user_quota", "policy", "p1", "acme/ann", "requests", window_at("day", NOON + timedelta(days=1)), 1
    )
    async with open_policies(tmp_path) as stores:
        assert await stores.quotas.reserve({today.key: 1}, NOON) is None

        assert await stores.quotas.reserve({tomorrow.key: 1}, NOON) is None
        assert await stores.quotas.reserve({today.key: 1}, NOON) == today.key


async def test_processes_on_one_file_count_exactly_together(tmp_path: Path) -> None:
    counters = [a_counter(30), a_counter(1000, "acme")]
    limits = {counter.key: counter.limit for counter in counters}
    start = Barrier(4)

    async def worker(number: int) -> tuple[int, bool, bool]:
        with closing(open_database(tmp_path)) as database:
            stores = local_stores(database, tmp_path).open_policies()
            start.wait(20)
            passed = sum([await stores.quotas.reserve(limits, NOON) is None for _ in range(20)])
            for _ in range(20):
                await stores.rollouts.add("p1", 1, MINUTE, RolloutCount(1, 1))
            added = await stores.versions.add(a_version(1, name=f"worker {number}"))
            return passed, added, await stores.rollouts.roll_back("p1", 1, NOON.timestamp() + number, None)

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda number: asyncio.run(worker(number)), range(4)))

    with closing(open_database(tmp_path)) as database:
        stores = local_stores(database, tmp_path).open_policies()
        assert await stores.quotas.used(list(limits)) == dict.fromkeys(limits, 30)
        assert await stores.rollouts.counts("p1", 1, [MINUTE]) == {MINUTE: RolloutCount(80, 80)}
    assert sum(passed for passed, _, _ in results) == 30
    assert [added for _, added, _ in results].count(True) == 1
    assert [recorded for _, _, recorded in results].count(True) == 1


async def test_the_sweep_of_one_machine_keeps_counters_of_policies_for_their_windows(tmp_path: Path) -> None:
    month = a_counter(5, window="month")
    async with sqlite_file(tmp_path) as stores:
        policies = stores.open_policies()
        await policies.quotas.reserve({month.key: 5}, NOON)
        await policies.rollouts.add("p1", 1, MINUTE, RolloutCount(1, 1))
        await policies.rollouts.roll_back("p1", 1, NOON.timestamp(), None)
        swept = stores.storage.swept_records

        await swept.delete_expired_entries(NOON + timedelta(days=1))
        assert await policies.quotas.used([month.key]) == {month.key: 1}
        assert await policies.rollouts.counts("p1", 1, [MINUTE]) == {MINUTE: RolloutCount(1, 1)}

        await swept.delete_expired_entries(NOON + timedelta(days=40))
        assert await policies.quotas.used([month.key]) == {}
        assert await policies.rollouts.rolled_back_at_s("p1", 1) is None
