"""The database file: what outlives the process, and who may read it."""

import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from obscura.adapters.sqlite import SqliteKeys, open_database
from obscura.cli.issuing import issue_key
from obscura.pipeline.credentials import key_digest


async def test_keys_outlive_the_process_that_made_them(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        key, secret = await issue_key(SqliteKeys(database), "tests")

    with closing(open_database(tmp_path)) as database:
        assert await SqliteKeys(database).find(key_digest(secret)) == key


async def test_a_key_revoked_beside_a_running_server_is_revoked_for_the_server_at_once(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as server, closing(open_database(tmp_path)) as command_line:
        key, secret = await issue_key(SqliteKeys(command_line), "tests")
        assert await SqliteKeys(server).find(key_digest(secret)) == key

        await SqliteKeys(command_line).revoke(key.id, datetime.now(UTC))

        assert await SqliteKeys(server).find(key_digest(secret)) is None


async def test_the_secret_is_in_no_file_of_the_folder(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        _, secret = await issue_key(SqliteKeys(database), "tests")

        files = [file.read_bytes() for file in tmp_path.iterdir()]

    assert files
    assert not any(secret.encode() in content or secret[4:].encode() in content for content in files)


def test_a_new_folder_is_the_operators_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"

    open_database(folder).close()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
