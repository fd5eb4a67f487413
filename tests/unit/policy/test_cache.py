"""What is cached of policies: for how long, and what a change in this process does to it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from obscura.errors import StoreUnavailable
from obscura.policy.base import PolicyStore
from obscura.policy.cache import CURRENT_TTL_S, MAX_CURRENT, MAX_VERSIONS, CachedPolicies, CurrentPolicy
from obscura.policy.parse import parse_document, parse_floor
from obscura.policy.versions import PolicyVersion, VersionRecord, next_version
from tests.support.stores import sqlite_in_memory

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class CountingStore:
    """A store that counts its reads, runs ``before_return`` in each, and fails as long as ``fails``."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store
        self.reads: Counter[str] = Counter()
        self.before_return: Callable[[], Awaitable[object]] | None = None
        self.fails = False

    async def policy_ids(self) -> Sequence[str]:
        return await self._store.policy_ids()

    async def records(self, policy_id: str) -> Sequence[VersionRecord]:
        return await self._read("records", self._store.records(policy_id))

    async def version(self, policy_id: str, number: int) -> PolicyVersion | None:
        return await self._read("version", self._store.version(policy_id, number))

    async def project_policy(self, project: str) -> str | None:
        return await self._read("project", self._store.project_policy(project))

    async def add(self, version: PolicyVersion) -> bool:
        added = await self._store.add(version)
        if self.fails:
            raise StoreUnavailable("The answer is lost.")
        return added

    async def assign_project(self, project: str, policy_id: str | None) -> None:
        await self._store.assign_project(project, policy_id)

    async def _read[T](self, name: str, read: Awaitable[T]) -> T:
        self.reads[name] += 1
        value = await read
        if self.fails:
            raise StoreUnavailable("The store is away.")
        if self.before_return is not None:
            before, self.before_return = self.before_return, None
            await before()
        return value


class Time:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CountingStore]:
    async with sqlite_in_memory(tmp_path) as stores:
        yield CountingStore(stores.open_policies().versions)


def version(number: int, *, draft: bool = False, policy_id: str = "p1") -> PolicyVersion:
    document = parse_document({"policy_id": policy_id, "draft": draft, "rules": {"denylist": [f"term {number}"]}})
    made = next_version(document, None, AT)
    return PolicyVersion(number, document, made.sha256, AT)


async def test_what_another_process_saves_holds_after_thirty_seconds(store: CountingStore) -> None:
    time = Time()
    policies = CachedPolicies(store, now_s=time)
    assert await policies.current("p1") is None

    await store.add(version(1))
    time.now_s = CURRENT_TTL_S - 0.001
    before = await policies.current("p1")
    time.now_s = CURRENT_TTL_S
    after = await policies.current("p1")

    assert CURRENT_TTL_S == 30.0
    assert (before, after) == (None, CurrentPolicy(1, None))
    assert store.reads["records"] == 2


async def test_what_this_process_saves_holds_at_once(store: CountingStore) -> None:
    policies = CachedPolicies(store)
    seen = []
    for number in (1, 2, 3):
        await policies.current("p1")
        await policies.add(version(number, draft=number == 3))
        seen.append(await policies.current("p1"))

    assert seen == [CurrentPolicy(1, None), CurrentPolicy(2, 1), CurrentPolicy(2, 1)]


async def test_a_save_during_a_read_is_not_hidden_by_what_was_read(store: CountingStore) -> None:
    policies = CachedPolicies(store)
    store.before_return = lambda: policies.add(version(1))

    stale = await policies.current("p1")

    assert stale is None
    assert await policies.current("p1") == CurrentPolicy(1, None)


async def test_a_save_whose_answer_is_lost_may_hold_at_once(store: CountingStore) -> None:
    policies = CachedPolicies(store)
    await policies.current("p1")
    store.fails = True
    with pytest.raises(StoreUnavailable):
        await policies.add(version(1))
    store.fails = False

    assert await policies.current("p1") == CurrentPolicy(1, None)


async def test_a_store_that_is_away_is_no_missing_policy(store: CountingStore) -> None:
    policies = CachedPolicies(store)
    store.fails = True

    for read in (policies.current("p1"), policies.version("p1", 1), policies.project_policy("acme")):
        with pytest.raises(StoreUnavailable):
            await read


async def test_a_version_is_read_and_compiled_once(store: CountingStore) -> None:
    policies = CachedPolicies(store, parse_floor({"rules": {"redact_secrets": True}}))
    await store.add(version(1))

    found = [await policies.version("p1", 1) for _ in range(3)]
    compiled = [await policies.compiled(one) for one in found if one is not None]

    assert store.reads["version"] == 1
    assert compiled[0] is compiled[2]
    assert [layer.layer.name for layer in compiled[0].layers] == ["floor", "policy"]
    assert await policies.version("p1", 2) is None


async def test_a_projects_policy_is_cached_and_changes_at_once_here(store: CountingStore) -> None:
    time = Time()
    policies = CachedPolicies(store, now_s=time)
    assert [await policies.project_policy("acme") for _ in range(2)] == [None, None]

    await policies.assign_project("acme", "p1")
    here = await policies.project_policy("acme")
    await store.assign_project("acme", "p2")
    cached = await policies.project_policy("acme")
    time.now_s = CURRENT_TTL_S

    assert (here, cached, await policies.project_policy("acme")) == ("p1", "p1", "p2")
    assert store.reads["project"] == 3


async def test_many_unknown_ids_take_no_more_memory_than_the_limit(store: CountingStore) -> None:
    policies = CachedPolicies(store)

    await asyncio.gather(*[policies.current(f"unknown-{number}") for number in range(MAX_CURRENT + 50)])
    for number in range(1, MAX_VERSIONS + 3):
        await store.add(version(number))
        await policies.version("p1", number)

    assert len(policies._current._values) == MAX_CURRENT
    assert len(policies._versions._values) == MAX_VERSIONS
