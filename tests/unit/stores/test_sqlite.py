"""The database file: what outlives the process, and who may read it."""

import asyncio
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from obscura.auth.access import key_digest
from obscura.auth.api_keys import create_key
from obscura.auth.base import Counter, Window
from obscura.errors import UpstreamUnavailable
from obscura.stores.sqlite.counters import SqliteQuotaStore, SqliteRateCounter
from obscura.stores.sqlite.database import DATABASE_FILE, open_database
from obscura.stores.sqlite.keys import SqliteKeyStore, load_or_create_secret

TODAY = Window(86_400 * 20_000, 86_400)


async def test_keys_outlive_the_process_that_made_them(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        key, secret = await create_key(SqliteKeyStore(database), "tests")

    with closing(open_database(tmp_path)) as database:
        assert await SqliteKeyStore(database).find(key_digest(secret)) == key


async def test_a_key_revoked_beside_a_running_server_is_revoked_for_the_server_at_once(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as server, closing(open_database(tmp_path)) as command_line:
        key, secret = await create_key(SqliteKeyStore(command_line), "tests")
        assert await SqliteKeyStore(server).find(key_digest(secret)) == key

        await SqliteKeyStore(command_line).revoke(key.id, datetime.now(UTC))

        assert await SqliteKeyStore(server).find(key_digest(secret)) is None


async def test_the_secret_is_in_no_file_of_the_folder(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        _, secret = await create_key(SqliteKeyStore(database), "tests")

        files = [file.read_bytes() for file in tmp_path.iterdir()]

    assert files
    assert not any(secret.encode() in content or secret[4:].encode() in content for content in files)


def test_a_new_folder_is_the_operators_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"

    open_database(folder).close()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("networks", [1, 3])
def test_exactly_as_many_pass_as_there_are_places_when_servers_share_the_file(tmp_path: Path, networks: int) -> None:
    counters = [Counter(f"free:{number}", TODAY, 5) for number in range(networks)]

    async def take_25() -> list[int | None]:
        with closing(open_database(tmp_path)) as database:
            return [await SqliteQuotaStore(database).take(counters) for _ in range(25)]

    with ThreadPoolExecutor(8) as servers:
        taken = [left for response in servers.map(lambda _: asyncio.run(take_25()), range(8)) for left in response]

    assert sorted(left for left in taken if left is not None) == [0, 1, 2, 3, 4]


async def test_a_lock_of_another_process_is_waited_for_off_the_loop(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database, closing(open_database(tmp_path)) as other:
        other.execute("BEGIN IMMEDIATE")

        counting = asyncio.create_task(SqliteRateCounter(database).count(Counter("key:1", TODAY, 5)))
        await asyncio.sleep(0)
        other.execute("COMMIT")

        assert await counting == 1


async def test_a_database_that_stays_locked_is_unavailable_and_counts_nothing(tmp_path: Path) -> None:
    counter = Counter("key:1", TODAY, 5)
    with closing(open_database(tmp_path)) as database, closing(open_database(tmp_path)) as other:
        other.execute("BEGIN IMMEDIATE")

        calls = [SqliteRateCounter(database).count(counter), SqliteQuotaStore(database).take([counter])]
        refused = await asyncio.gather(*calls, return_exceptions=True)

        other.execute("COMMIT")
        assert [type(refusal) for refusal in refused] == [UpstreamUnavailable] * 2
        assert await SqliteQuotaStore(database).taken([counter]) == [0]


async def test_counters_of_past_windows_are_cleaned_up(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        await SqliteRateCounter(database).count(Counter("key:1", TODAY, 5))
        await SqliteQuotaStore(database).take([Counter("free:1", TODAY, 5)])

        await SqliteRateCounter(database).count(Counter("key:1", Window(TODAY.ends_at_s, 60), 5))

        assert database.execute("SELECT count(*) FROM counters").fetchone() == (1,)


async def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE, autocommit=True)) as old:
        old.execute(
            "CREATE TABLE keys (id TEXT PRIMARY KEY, secret_sha256 BLOB NOT NULL UNIQUE, project TEXT NOT NULL,"
            " zero_retention INTEGER NOT NULL, created_at TEXT NOT NULL, revoked_at TEXT) STRICT"
        )
        old.execute("INSERT INTO keys VALUES ('key_1', ?, 'old', 0, '2026-03-01T12:00:00+00:00', NULL)", (bytes(32),))

    with closing(open_database(tmp_path)) as database:
        found = await SqliteKeyStore(database).find(bytes(32))

    assert (found.id, found.scopes, found.requests_per_minute) == ("key_1", frozenset(), None)


async def test_the_address_secret_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as servers:
        secrets = set(servers.map(lambda _: load_or_create_secret(tmp_path), range(8)))

    (kept,) = tmp_path.iterdir()
    assert secrets == {kept.read_bytes()}
    assert len(kept.read_bytes()) == 32
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
