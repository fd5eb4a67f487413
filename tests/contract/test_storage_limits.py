"""The contract of every file and upload repository: how much one project may have stored."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from obscura.files.base import StorageLimits, StoredFile, Upload
from tests.support.aws_server import aws_server
from tests.support.file_stores import OpenFileStores, on_aws, on_this_machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
each_store = pytest.mark.parametrize("store", [on_this_machine, on_aws])


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with aws_server():
        yield


def a_file(number: int, size_bytes: int = 100, project: str = "team", at: datetime = NOON) -> StoredFile:
    file_id = f"file_{number:036x}"
    return StoredFile(file_id, project, "a.jpg", "vision", "image/jpeg", size_bytes, at, at + HOUR)


def an_upload(number: int, declared_bytes: int = 100) -> Upload:
    return Upload(f"upload_{number:036x}", "team", "a.jpg", "vision", declared_bytes, 3600, NOON, NOON + HOUR)


@each_store
@pytest.mark.parametrize("limits", [StorageLimits(500, 99), StorageLimits(9_999, 5)])
async def test_concurrent_files_never_exceed_a_projects_limits(
    store: OpenFileStores, tmp_path: Path, limits: StorageLimits
) -> None:
    async with store(tmp_path) as stores:
        added = await asyncio.gather(*[stores.files.add(a_file(number), limits) for number in range(12)])

        assert sum(added) == 5
        found = await asyncio.gather(*[stores.files.find("team", a_file(number).id) for number in range(12)])
        assert [file is not None for file in found] == added
        assert await stores.files.add(a_file(99, project="another"), limits)


@each_store
async def test_a_deleted_file_makes_space_once(store: OpenFileStores, tmp_path: Path) -> None:
    limits = StorageLimits(200, 9)
    async with store(tmp_path) as stores:
        assert await stores.files.add(a_file(1), limits)
        assert await stores.files.add(a_file(2), limits)
        for _ in range(3):
            await stores.files.expire("team", a_file(1).id, NOON + timedelta(seconds=1))
            await stores.files.delete("team", a_file(1).id)

        assert await stores.files.add(a_file(3), limits)
        assert not await stores.files.add(a_file(4), limits)


@each_store
async def test_a_pending_upload_counts_twice_its_size_until_it_is_finished(
    store: OpenFileStores, tmp_path: Path
) -> None:
    limits = StorageLimits(400, 9)
    async with store(tmp_path) as stores:
        assert await stores.uploads.add(an_upload(1), limits)
        assert await stores.uploads.add(an_upload(2), limits)
        assert not await stores.uploads.add(an_upload(3), limits)
        assert not await stores.files.add(a_file(1, 1), limits)

        assert await stores.uploads.finish(an_upload(1), "cancelled", None, NOON)
        assert not await stores.uploads.finish(an_upload(1), "cancelled", None, NOON)

        assert await stores.files.add(a_file(2, 200), limits)
        assert not await stores.files.add(a_file(3, 1), limits)
        await stores.uploads.delete("team", an_upload(1).id)
        assert not await stores.files.add(a_file(3, 1), limits)
        await stores.uploads.delete("team", an_upload(2).id)
        await stores.uploads.delete("team", an_upload(2).id)
        assert await stores.files.add(a_file(4, 200), limits)
        assert not await stores.files.add(a_file(5, 1), limits)


@each_store
async def test_many_tiny_files_are_limited_by_their_number(store: OpenFileStores, tmp_path: Path) -> None:
    limits = StorageLimits(10**9, 2)
    async with store(tmp_path) as stores:
        assert await stores.files.add(a_file(1, 1), limits)
        assert await stores.uploads.add(an_upload(1, 1), limits)
        assert not await stores.uploads.add(an_upload(2, 1), limits)
        assert not await stores.files.has_space("team", 1, limits, NOON)
        assert await stores.files.has_space("team", 1, StorageLimits(10**9, 3), NOON)


@each_store
@pytest.mark.parametrize("limits", [StorageLimits(0, 9), StorageLimits(999, 0)])
async def test_limits_of_nothing_let_nothing_be_stored(
    store: OpenFileStores, tmp_path: Path, limits: StorageLimits
) -> None:
    async with store(tmp_path) as stores:
        assert not await stores.files.add(a_file(1, 1), limits)
        assert not await stores.uploads.add(an_upload(1, 1), limits)


async def test_on_aws_items_that_ttl_deleted_make_space_by_themselves(tmp_path: Path) -> None:
    limits = StorageLimits(200, 9)
    async with on_aws(tmp_path) as stores:
        await stores.files.add(a_file(1), limits)
        await stores.files.add(a_file(2), limits)
        later = NOON + 2 * HOUR

        # Neither was deleted by Obscura, and whether TTL has come to them by now does not matter.
        assert await stores.files.has_space("team", 200, limits, later)
        assert await stores.files.add(a_file(3, at=later), limits)
        assert await stores.files.add(a_file(4, at=later), limits)
        await stores.files.delete("team", a_file(1).id)
        await stores.files.delete("team", a_file(2).id)
        assert not await stores.files.add(a_file(5, 1, at=later), limits)


async def test_on_aws_a_project_is_counted_afresh_while_others_store(tmp_path: Path) -> None:
    limits = StorageLimits(10_000, 10)
    async with on_aws(tmp_path) as stores:
        await asyncio.gather(*[stores.files.add(a_file(number), limits) for number in range(10)])
        later = NOON + 2 * HOUR

        again = [replace(a_file(number, at=later), id=f"file_{number:036x}") for number in range(100, 116)]
        added = await asyncio.gather(*[stores.files.add(file, limits) for file in again])

        assert sum(added) == 10
