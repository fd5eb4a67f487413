"""The cache of API keys: how long a cached key is valid."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from obscura.auth.api_keys import MAX_CACHED_KEYS, CachingKeyStore, KeyCacheTtl
from obscura.auth.base import ApiKey
from obscura.errors import StoreUnavailable
from obscura.stores.sqlite.database import Database, open_database
from obscura.stores.sqlite.keys import SqliteKeyStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIGEST = bytes(32)


class CachedKeys:
    """A store in memory with a cache of 30 s, or 900 s in an outage, and a clock that a test moves."""

    def __init__(self, database: Database) -> None:
        self.at_s = 1000.0
        self.database = database
        self.store = SqliteKeyStore(database)
        self.keys = CachingKeyStore(self.store, KeyCacheTtl(30, 900), lambda: self.at_s)

    async def add(self, number: int = 0) -> ApiKey:
        key = ApiKey(f"key_{number}", "project", False, NOON)
        await self.keys.add(key, number.to_bytes(32))
        return key


@pytest.fixture
def cached() -> Iterator[CachedKeys]:
    with closing(open_database(None)) as database:
        yield CachedKeys(database)


async def test_a_key_is_cached_for_30_s_and_a_revoked_one_rejected_then(cached: CachedKeys) -> None:
    key = await cached.add()
    await cached.keys.find(DIGEST)
    await cached.store.revoke(key.id, NOON)

    cached.at_s += 29
    assert await cached.keys.find(DIGEST) == key

    cached.at_s += 1
    assert await cached.keys.find(DIGEST) is None


async def test_use_does_not_prolong_the_cached_time(cached: CachedKeys) -> None:
    key = await cached.add()
    await cached.keys.find(DIGEST)
    await cached.store.revoke(key.id, NOON)

    for _ in range(3):
        cached.at_s += 9
        assert await cached.keys.find(DIGEST) == key
    cached.at_s += 9

    assert await cached.keys.find(DIGEST) is None


async def test_a_key_that_was_not_found_is_not_cached(cached: CachedKeys) -> None:
    assert await cached.keys.find(DIGEST) is None

    key = await cached.add()

    assert await cached.keys.find(DIGEST) == key


async def test_in_an_outage_a_cached_key_is_valid_for_15_min_and_no_other_key(
    cached: CachedKeys,
) -> None:
    key = await cached.add()
    await cached.keys.find(DIGEST)
    cached.database.close()

    cached.at_s += 899
    assert await cached.keys.find(DIGEST) == key
    with pytest.raises(StoreUnavailable):
        await cached.keys.find((1).to_bytes(32))

    cached.at_s += 1
    with pytest.raises(StoreUnavailable):
        await cached.keys.find(DIGEST)


async def test_the_cache_is_bounded_and_the_oldest_key_is_evicted_first(cached: CachedKeys) -> None:
    for number in range(MAX_CACHED_KEYS + 1):
        await cached.add(number)
        await cached.keys.find(number.to_bytes(32))
    cached.database.close()

    second = await cached.keys.find((1).to_bytes(32))
    assert second is not None
    assert second.id == "key_1"
    with pytest.raises(StoreUnavailable):
        await cached.keys.find(DIGEST)
