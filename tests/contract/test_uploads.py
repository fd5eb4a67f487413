"""The contract of every upload repository."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from obscura.files.base import MAX_PARTS, Upload
from tests.support.aws_server import aws_server
from tests.support.file_stores import OpenFileStores, on_aws, on_this_machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
each_store = pytest.mark.parametrize("store", [on_this_machine, on_aws])


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with aws_server():
        yield


def an_upload(number: int = 1, declared_bytes: int = 1000) -> Upload:
    return Upload(
        id=f"upload_{number:036x}",
        project="team",
        filename="cät.jpg",
        purpose="vision",
        declared_bytes=declared_bytes,
        ttl_s=3600,
        created_at=NOON,
        expires_at=NOON + HOUR,
    )


@each_store
async def test_an_upload_is_found_with_its_parts_by_its_project_only(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        upload = an_upload()
        await stores.uploads.add(upload)
        assert await stores.uploads.find("team", upload.id) == upload

        assert await stores.uploads.add_part(upload, "part_1", 700, NOON)
        assert await stores.uploads.add_part(upload, "part_2", 300, NOON)

        assert await stores.uploads.find("team", upload.id) == replace(upload, parts={"part_1": 700, "part_2": 300})
        assert await stores.uploads.find("another", upload.id) is None
        assert await stores.uploads.find("team", an_upload(2).id) is None


@each_store
async def test_concurrent_parts_never_exceed_twice_the_size_of_the_file(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        upload = an_upload(declared_bytes=1000)
        await stores.uploads.add(upload)

        adding = [stores.uploads.add_part(upload, f"part_{number}", 300, NOON) for number in range(20)]
        added = await asyncio.gather(*adding)

        assert sum(added) == 6
        found = await stores.uploads.find("team", upload.id)
        assert found is not None
        assert sum(found.parts.values()) == 1800
        assert await stores.uploads.add_part(upload, "part_last", 200, NOON)


@each_store
async def test_concurrent_parts_never_exceed_their_maximum_number(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        upload = an_upload()
        await stores.uploads.add(upload)

        adding = [stores.uploads.add_part(upload, f"part_{number}", 1, NOON) for number in range(MAX_PARTS + 5)]
        added = await asyncio.gather(*adding)

        assert sum(added) == MAX_PARTS


@each_store
async def test_an_expired_upload_takes_no_part_and_cannot_be_finished(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        upload = an_upload()
        await stores.uploads.add(upload)

        assert await stores.uploads.add_part(upload, "part_1", 1, NOON + HOUR) is False
        assert await stores.uploads.finish(upload, "completed", "file_1", NOON + HOUR) is False
        assert await stores.uploads.find("team", upload.id) == upload


@each_store
async def test_of_concurrent_calls_one_finishes_an_upload(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        upload = an_upload()
        await stores.uploads.add(upload)
        await stores.uploads.add_part(upload, "part_1", 1, NOON)

        finishing = [stores.uploads.finish(upload, "completed", f"file_{number}", NOON) for number in range(20)]
        finished = await asyncio.gather(*finishing)

        assert sum(finished) == 1
        found = await stores.uploads.find("team", upload.id)
        assert found is not None
        assert (found.status, found.file_id) == ("completed", f"file_{finished.index(True)}")
        assert await stores.uploads.finish(upload, "cancelled", None, NOON) is False
        assert await stores.uploads.add_part(upload, "part_2", 1, NOON) is False


@each_store
async def test_a_cancelled_upload_has_no_file(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.uploads.add(an_upload())

        assert await stores.uploads.finish(an_upload(), "cancelled", None, NOON)

        assert await stores.uploads.find("team", an_upload().id) == replace(an_upload(), status="cancelled")


@each_store
async def test_an_upload_that_does_not_exist_cannot_be_changed(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        assert await stores.uploads.add_part(an_upload(), "part_1", 1, NOON) is False
        assert await stores.uploads.finish(an_upload(), "cancelled", None, NOON) is False
        assert await stores.uploads.find("team", an_upload().id) is None


@each_store
async def test_expired_uploads_are_listed_with_their_parts_until_deleted(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.uploads.add(an_upload())
        await stores.uploads.add_part(an_upload(), "part_1", 5, NOON)

        assert await stores.uploads.expired("team", NOON) == []
        assert [upload.parts for upload in await stores.uploads.expired("team", NOON + HOUR)] == [{"part_1": 5}]
        await stores.uploads.delete("team", an_upload().id)
        assert await stores.uploads.expired("team", NOON + HOUR) == []
        assert await stores.uploads.find("team", an_upload().id) is None
