"""The contract of every blob store."""

import asyncio
import random
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from obscura.errors import StoreUnavailable
from tests.support.aws_server import aws_server
from tests.support.file_stores import OpenFileStores, on_aws, on_this_machine

NAME = "originals/file_01"
each_store = pytest.mark.parametrize("store", [on_this_machine, on_aws])


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with aws_server():
        yield


@each_store
@pytest.mark.parametrize("content", [b"", b"\0", b"line\r\n", random.Random(1).randbytes(3_000_000)])  # noqa: S311
async def test_bytes_are_read_as_they_were_written(store: OpenFileStores, tmp_path: Path, content: bytes) -> None:
    async with store(tmp_path) as stores:
        await stores.blobs.put(NAME, content)

        assert await stores.blobs.get(NAME) == content
        assert await stores.blobs.get("originals/file_02") is None
        assert await stores.blobs.get("prepared/file_01/auto") is None


@each_store
async def test_later_bytes_replace_earlier_ones(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.blobs.put(NAME, b"first, and longer")
        await stores.blobs.put(NAME, b"second")

        assert await stores.blobs.get(NAME) == b"second"


@each_store
async def test_no_reader_gets_a_part_of_concurrently_written_bytes(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        whole = {bytes([number]) * 200_000 for number in range(8)}
        await stores.blobs.put(NAME, next(iter(whole)))

        results = await asyncio.gather(
            *[stores.blobs.put(NAME, content) for content in whole], *[stores.blobs.get(NAME) for _ in range(24)]
        )

        assert {content for content in results if content is not None} <= whole
        assert await stores.blobs.get(NAME) in whole


@each_store
async def test_deleted_bytes_are_gone_and_their_neighbours_stay(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        for name in ("parts/upload_1/part_1", "parts/upload_1/part_2", "parts/upload_2/part_1"):
            await stores.blobs.put(name, b"x")

        await stores.blobs.delete(["parts/upload_1/part_1", "parts/upload_1/part_2", "parts/upload_3/part_1"])

        assert await stores.blobs.get("parts/upload_1/part_1") is None
        assert await stores.blobs.get("parts/upload_1/part_2") is None
        assert await stores.blobs.get("parts/upload_2/part_1") == b"x"


@each_store
async def test_deleting_nothing_does_nothing(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.blobs.delete([])
        await stores.blobs.delete([NAME])

        assert await stores.blobs.get(NAME) is None


async def test_on_disk_only_the_owner_reads_and_nothing_deleted_is_left(tmp_path: Path) -> None:
    async with on_this_machine(tmp_path) as stores:
        await stores.blobs.put("prepared/file_01/auto", b"x")

        (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in file.parents[:3])
        await stores.blobs.delete(["prepared/file_01/auto"])
        assert [path for path in tmp_path.rglob("*") if path.is_file() or path.name == "file_01"] == []


@pytest.mark.parametrize("name", ["../x", "originals/../../x", "/etc/x", "originals/.x", "originals/a\0b", "originals"])
async def test_on_disk_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    async with on_this_machine(tmp_path / "data") as stores:
        with pytest.raises(ValueError, match="name"):
            await stores.blobs.put(name, b"x")

    assert list(tmp_path.rglob("*")) == []


async def test_a_data_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("not a folder")
    async with on_this_machine(tmp_path) as stores:
        with pytest.raises(StoreUnavailable):
            await stores.blobs.put(NAME, b"x")

    assert [path.name for path in tmp_path.iterdir()] == ["files"]
