"""Keys that were found lately: believed for a while, and no longer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from obscura.auth.base import ApiKey
from obscura.auth.key_cache import MAX_CACHED_KEYS, CachingKeyStore, KeyCacheTtl
from obscura.errors import UpstreamUnavailable
from obscura.stores.sqlite.database import open_database
from obscura.stores.sqlite.keys import SqliteKeyStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIGEST = bytes(32)


class Remembering:
    """A store in memory behind a memory of 30 s, or 900 s in an outage, and a clock that a test moves."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.at_s = 1000.0
        self.database = database
        self.store = SqliteKeyStore(database)
        self.keys = CachingKeyStore(self.store, KeyCacheTtl(30, 900), lambda: self.at_s)

    async def add(self, number: int = 0) -> ApiKey:
        key = ApiKey(f"key_{number}", "project", False, NOON)
        await self.keys.add(key, number.to_bytes(32))
        return key


@pytest.fixture
def remembering() -> Iterator[Remembering]:
    with closing(open_database(None)) as database:
        yield Remembering(database)


async def test_a_key_is_remembered_for_30_s_and_a_revoked_one_stops_then(remembering: Remembering) -> None:
    key = await remembering.add()
    await remembering.keys.find(DIGEST)
    await remembering.store.revoke(key.id, NOON)

    remembering.at_s += 29
    assert await remembering.keys.find(DIGEST) == key

    remembering.at_s += 1
    assert await remembering.keys.find(DIGEST) is None


async def test_being_asked_for_does_not_prolong_a_memory(remembering: Remembering) -> None:
    key = await remembering.add()
    await remembering.keys.find(DIGEST)
    await remembering.store.revoke(key.id, NOON)

    for _ in range(3):
        remembering.at_s += 9
        assert await remembering.keys.find(DIGEST) == key
    remembering.at_s += 9

    assert await remembering.keys.find(DIGEST) is None


async def test_a_key_that_was_not_found_is_looked_for_anew(remembering: Remembering) -> None:
    assert await remembering.keys.find(DIGEST) is None

    key = await remembering.add()

    assert await remembering.keys.find(DIGEST) == key


async def test_without_its_store_a_key_is_believed_for_a_while_and_an_unknown_one_never(
    remembering: Remembering,
) -> None:
    key = await remembering.add()
    await remembering.keys.find(DIGEST)
    remembering.database.close()

    remembering.at_s += 899
    assert await remembering.keys.find(DIGEST) == key
    with pytest.raises(UpstreamUnavailable):
        await remembering.keys.find((1).to_bytes(32))

    remembering.at_s += 1
    with pytest.raises(UpstreamUnavailable):
        await remembering.keys.find(DIGEST)


async def test_the_memory_is_bounded_and_the_oldest_is_let_go_of_first(remembering: Remembering) -> None:
    for number in range(MAX_CACHED_KEYS + 1):
        await remembering.add(number)
        await remembering.keys.find(number.to_bytes(32))
    remembering.database.close()

    assert (await remembering.keys.find((1).to_bytes(32))).id == "key_1"
    with pytest.raises(UpstreamUnavailable):
        await remembering.keys.find(DIGEST)
