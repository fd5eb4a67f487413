"""The contract of every key store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from obscura.auth.base import ApiKey, ApiKeyStore
from tests.support.stores import STORES, OpenStores

type OpenKeys = Callable[[Path], AbstractAsyncContextManager[ApiKeyStore]]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def keys_of(open_stores: OpenStores) -> OpenKeys:
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[ApiKeyStore]:
        async with open_stores(folder) as stores:
            yield stores.keys

    opened.__name__ = open_stores.__name__
    return opened


each_store = pytest.mark.parametrize(
    "open_keys", [keys_of(store) for store in STORES], ids=lambda store: store.__name__
)


def a_key(number: int = 1, created_at: datetime = NOON, *, zero_retention: bool = False) -> ApiKey:
    return ApiKey(f"key_{number}", f"project {number} é", zero_retention, created_at)


def digest(number: int = 1) -> bytes:
    return number.to_bytes(4) * 8


@each_store
async def test_an_empty_store_has_no_key(open_keys: OpenKeys, tmp_path: Path) -> None:
    async with open_keys(tmp_path) as keys:
        assert await keys.find(digest()) is None
        assert list(await keys.list_all()) == []
        assert await keys.revoke("key_1", NOON) is False


@each_store
@pytest.mark.parametrize("zero_retention", [False, True])
async def test_a_key_is_found_as_it_was_added_by_its_digest(
    open_keys: OpenKeys, tmp_path: Path, zero_retention: bool
) -> None:
    async with open_keys(tmp_path) as keys:
        key = a_key(zero_retention=zero_retention, created_at=NOON + timedelta(microseconds=7))

        await keys.add(key, digest())

        found = await keys.find(digest())
        assert found == key
        assert found.created_at.utcoffset() == timedelta(0)


@each_store
async def test_a_key_keeps_its_scopes_and_its_own_rate(open_keys: OpenKeys, tmp_path: Path) -> None:
    async with open_keys(tmp_path) as keys:
        key = replace(a_key(), scopes=frozenset({"chat", "files"}), requests_per_minute=7)

        await keys.add(key, digest())

        assert await keys.find(digest()) == key
        assert list(await keys.list_all()) == [key]


@each_store
async def test_a_key_is_found_by_its_whole_digest_only(open_keys: OpenKeys, tmp_path: Path) -> None:
    async with open_keys(tmp_path) as keys:
        await keys.add(a_key(), digest())

        for other in (digest(2), digest()[:-1], digest() + b"\0", digest().hex().encode(), b"", bytes(32)):
            assert await keys.find(other) is None


@each_store
async def test_each_of_many_keys_is_found_by_its_digest(open_keys: OpenKeys, tmp_path: Path) -> None:
    async with open_keys(tmp_path) as keys:
        await asyncio.gather(*[keys.add(a_key(number), digest(number)) for number in range(50)])

        found = await asyncio.gather(*[keys.find(digest(number)) for number in range(50)])

        assert [key and key.id for key in found] == [f"key_{number}" for number in range(50)]


@each_store
async def test_all_keys_are_listed_oldest_first_revoked_ones_included(open_keys: OpenKeys, tmp_path: Path) -> None:
    ages = [timedelta(0), timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=400)]
    async with open_keys(tmp_path) as keys:
        for number in (2, 0, 3, 1):
            await keys.add(a_key(number, NOON + ages[number]), digest(number))

        await keys.revoke("key_1", NOON + timedelta(days=500))

        listed = await keys.list_all()
        assert [key.id for key in listed] == ["key_0", "key_1", "key_2", "key_3"]
        assert [key.revoked_at for key in listed] == [None, NOON + timedelta(days=500), None, None]


@each_store
async def test_a_revoked_key_is_not_found_and_the_others_are(open_keys: OpenKeys, tmp_path: Path) -> None:
    async with open_keys(tmp_path) as keys:
        await keys.add(a_key(1), digest(1))
        await keys.add(a_key(2), digest(2))

        assert await keys.revoke("key_1", NOON) is True

        assert await keys.find(digest(1)) is None
        assert await keys.find(digest(2)) == a_key(2)


@each_store
async def test_a_key_is_revoked_once_and_keeps_the_time(open_keys: OpenKeys, tmp_path: Path) -> None:
    async with open_keys(tmp_path) as keys:
        await keys.add(a_key(), digest())

        times = [NOON + timedelta(minutes=minute) for minute in range(10)]
        revoked = await asyncio.gather(*[keys.revoke("key_1", at) for at in times])
        (listed,) = await keys.list_all()

        assert revoked.count(True) == 1
        assert listed.revoked_at == times[revoked.index(True)]


@each_store
@pytest.mark.parametrize(("number", "digest_of"), [(1, 2), (2, 1), (1, 1)], ids=["same id", "same digest", "both"])
async def test_an_id_and_a_digest_are_unique(open_keys: OpenKeys, tmp_path: Path, number: int, digest_of: int) -> None:
    async with open_keys(tmp_path) as keys:
        await keys.add(a_key(1), digest(1))

        with suppress(Exception):
            await keys.add(ApiKey(f"key_{number}", "intruder", True, NOON), digest(digest_of))

        assert await keys.find(digest(1)) == a_key(1)
        assert list(await keys.list_all()) == [a_key(1)]


@each_store
async def test_the_digest_of_a_revoked_key_cannot_be_used_again(open_keys: OpenKeys, tmp_path: Path) -> None:
    async with open_keys(tmp_path) as keys:
        await keys.add(a_key(1), digest(1))
        await keys.revoke("key_1", NOON)

        with suppress(Exception):
            await keys.add(a_key(2), digest(1))

        assert await keys.find(digest(1)) is None


@each_store
@pytest.mark.parametrize("project", ["", "a'b\"; DROP TABLE keys --", "\U0001f600", "x" * 1000, "line\nfeed"])
async def test_any_project_name_is_possible(open_keys: OpenKeys, tmp_path: Path, project: str) -> None:
    async with open_keys(tmp_path) as keys:
        await keys.add(ApiKey("key_1", project, False, NOON), digest())

        found = await keys.find(digest())
        assert found is not None
        assert found.project == project
