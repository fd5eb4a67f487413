"""The database file: what outlives the process, how it is locked, and who may read it."""

import asyncio
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from obscura.auth.api_keys import create_key, key_digest
from obscura.auth.base import Counter, Window
from obscura.errors import StoreUnavailable
from obscura.stores.sqlite.counters import SqliteQuotaStore, SqliteRateCounter
from obscura.stores.sqlite.database import DATABASE_FILE, open_database
from obscura.stores.sqlite.keys import SqliteKeyStore, load_or_create_secret

TODAY = Window(86_400 * 20_000, 86_400)


async def test_keys_outlive_the_process_that_created_them(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        key, secret = await create_key(SqliteKeyStore(database), "tests")

    with closing(open_database(tmp_path)) as database:
        assert await SqliteKeyStore(database).find(key_digest(secret)) == key


async def test_a_key_revoked_by_another_process_is_rejected_at_once(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as server, closing(open_database(tmp_path)) as command_line:
        key, secret = await create_key(SqliteKeyStore(command_line), "tests")
        assert await SqliteKeyStore(server).find(key_digest(secret)) == key

        await SqliteKeyStore(command_line).revoke(key.id, key.created_at)

        assert await SqliteKeyStore(server).find(key_digest(secret)) is None


async def test_the_secret_of_a_key_is_in_no_file_of_the_folder(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        _, secret = await create_key(SqliteKeyStore(database), "tests")

        files = [file.read_bytes() for file in tmp_path.iterdir()]

    assert files
    assert not any(secret.encode() in content or secret[4:].encode() in content for content in files)


def test_only_the_owner_can_read_a_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"

    open_database(folder).close()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("networks", [1, 3])
def test_servers_that_share_the_file_never_exceed_the_quota(tmp_path: Path, networks: int) -> None:
    counters = [Counter(f"free:{number}", TODAY, 5) for number in range(networks)]

    async def reserve_25() -> list[int | None]:
        with closing(open_database(tmp_path)) as database:
            return [await SqliteQuotaStore(database).reserve(counters) for _ in range(25)]

    with ThreadPoolExecutor(8) as servers:
        reserved = [left for each in servers.map(lambda _: asyncio.run(reserve_25()), range(8)) for left in each]

    assert sorted(left for left in reserved if left is not None) == [0, 1, 2, 3, 4]


async def test_waiting_for_a_lock_does_not_block_the_event_loop(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database, closing(open_database(tmp_path)) as other:
        other.counters.connection.execute("BEGIN IMMEDIATE")

        counting = asyncio.create_task(SqliteRateCounter(database).increment("key:1", TODAY))
        await asyncio.sleep(0)
        other.counters.connection.execute("COMMIT")

        assert await counting == 1


async def test_a_database_that_stays_locked_is_unavailable_and_counts_nothing(tmp_path: Path) -> None:
    counter = Counter("key:1", TODAY, 5)
    with closing(open_database(tmp_path)) as database, closing(open_database(tmp_path)) as other:
        other.counters.connection.execute("BEGIN IMMEDIATE")

        calls = [SqliteRateCounter(database).increment("key:1", TODAY), SqliteQuotaStore(database).reserve([counter])]
        errors = await asyncio.gather(*calls, return_exceptions=True)

        other.counters.connection.execute("COMMIT")
        assert [type(error) for error in errors] == [StoreUnavailable] * 2
        assert await SqliteQuotaStore(database).used([counter]) == [0]


async def test_counters_of_past_windows_are_deleted(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        await SqliteRateCounter(database).increment("key:1", TODAY)
        await SqliteQuotaStore(database).reserve([Counter("free:1", TODAY, 5)])

        await SqliteRateCounter(database).increment("key:1", Window(TODAY.ends_at_s, 60))

        assert database.counters.connection.execute("SELECT count(*) FROM counters").fetchone() == (1,)


async def test_a_database_of_the_first_version_gets_the_missing_columns(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE, autocommit=True)) as old:
        old.execute(
            "CREATE TABLE keys (id TEXT PRIMARY KEY, secret_sha256 BLOB NOT NULL UNIQUE, project TEXT NOT NULL,"
            " zero_retention INTEGER NOT NULL, created_at TEXT NOT NULL, revoked_at TEXT) STRICT"
        )
        old.execute("INSERT INTO keys VALUES ('key_1', ?, 'old', 0, '2026-03-01T12:00:00+00:00', NULL)", (bytes(32),))

    with closing(open_database(tmp_path)) as database:
        found = await SqliteKeyStore(database).find(bytes(32))

    assert found is not None
    assert (found.id, found.scopes, found.requests_per_minute) == ("key_1", frozenset(), None)


async def test_concurrent_processes_create_one_secret_that_only_the_owner_reads(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as servers:
        secrets = set(servers.map(lambda _: load_or_create_secret(tmp_path), range(8)))

    (file,) = tmp_path.iterdir()
    assert secrets == {file.read_bytes()}
    assert len(file.read_bytes()) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
