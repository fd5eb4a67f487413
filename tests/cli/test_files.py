"""``obscura files``, run as a process, on both stores."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from obscura.files.base import BlobStore, FileRepository, StoredFile, original_blob, prepared_blob
from obscura.settings import Settings
from obscura.stores.open import open_stores
from tests.support.aws_server import aws_environment, aws_server
from tests.support.file_stores import on_aws
from tests.support.serving_process import environment, run_obscura

NOW = datetime.now(UTC).replace(microsecond=0)
IDS = [f"file_{number:036x}" for number in range(3)]

type Store = tuple[FileRepository, BlobStore, dict[str, str]]
"""The files, their bytes, and the environment in which the command finds them."""


@asynccontextmanager
async def on_disk(folder: Path) -> AsyncIterator[Store]:
    async with open_stores(Settings(data_dir=folder)) as stores:
        yield stores.storage.files, stores.storage.blobs, environment(folder)


@asynccontextmanager
async def on_emulated_aws(folder: Path) -> AsyncIterator[Store]:
    with aws_server() as endpoint:
        async with on_aws(folder) as stores:
            name = str(stores.name)
            env = environment(folder, TABLE=name, BUCKET=name) | aws_environment(endpoint)
            yield stores.files, stores.blobs, env


@pytest.mark.parametrize("store", [on_disk, on_emulated_aws])
async def test_files_of_all_projects_are_listed_and_deleted(
    store: Callable[[Path], AbstractAsyncContextManager[Store]], tmp_path: Path
) -> None:
    async with store(tmp_path) as (files, blobs, env):
        for number, project in enumerate(("one", "two", "gone")):
            expires_at = NOW + timedelta(hours=1 if project != "gone" else -1)
            file_id = IDS[number]
            await files.add(StoredFile(file_id, project, "a.jpg", "vision", "image/jpeg", 2048, NOW, expires_at))
            await blobs.put(original_blob(file_id), b"x")
            await blobs.put(prepared_blob(file_id, "auto"), b"x")

        listed = await asyncio.to_thread(run_obscura, "files", "list", env=env)
        of_two = await asyncio.to_thread(run_obscura, "files", "list", "--project", "two", env=env)
        removed = await asyncio.to_thread(run_obscura, "files", "rm", IDS[0], IDS[2], env=env)
        again = await asyncio.to_thread(run_obscura, "files", "rm", IDS[0], env=env)

        assert re.search(rf"{IDS[0]} +one +2 +{NOW + timedelta(hours=1):%Y-%m-%d %H:%M}", listed.stdout)
        assert [file_id in listed.stdout for file_id in IDS] == [True, True, False]
        assert [file_id in of_two.stdout for file_id in IDS] == [False, True, False]
        assert removed.returncode == 0
        assert (again.returncode, IDS[0] in again.stderr) == (1, True)
        assert [file.id for file in await files.list_all()] == [IDS[1]]
        for file_id, left in zip(IDS, (None, b"x", None), strict=True):
            assert await blobs.get(original_blob(file_id)) == left
            assert await blobs.get(prepared_blob(file_id, "auto")) == left


def test_the_list_says_that_no_files_are_stored(tmp_path: Path) -> None:
    assert "No files" in run_obscura("files", "list", env=environment(tmp_path)).stdout


def test_an_unusable_store_is_reported_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "obscura.sqlite3").write_text("no database" * 500)

    response = run_obscura("files", "list", env=environment(tmp_path))

    assert response.returncode == 1
    assert "cannot be used" in response.stderr
    assert "Traceback" not in response.stderr
