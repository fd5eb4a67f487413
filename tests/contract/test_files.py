"""The contract of every file repository."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from obscura.files.base import FileQuery, StoredFile
from tests.support.aws_server import aws_server
from tests.support.file_stores import OpenFileStores, on_aws, on_this_machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
each_store = pytest.mark.parametrize("store", [on_this_machine, on_aws])


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with aws_server():
        yield


def a_file(number: int = 1, project: str = "team", **fields: object) -> StoredFile:
    defaults: dict[str, Any] = {
        "id": f"file_{number:036x}",
        "project": project,
        "filename": "cät.jpg",
        "purpose": "vision",
        "media_type": "image/jpeg",
        "size_bytes": 12345,
        "created_at": NOON,
        "expires_at": NOON + HOUR,
    }
    return StoredFile(**(defaults | fields))


@each_store
async def test_a_file_is_found_as_it_was_added_by_its_project_only(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        file = a_file()

        await stores.files.add(file)

        assert await stores.files.find("team", file.id) == file
        assert await stores.files.find("another", file.id) is None
        assert await stores.files.find("team", a_file(2).id) is None


@each_store
@pytest.mark.parametrize(
    "project", ["", "a'b\"; DROP TABLE files --", "\U0001f600", "x" * 1024, "x" * 5000, "line\nfeed", "sha256:00"]
)
async def test_any_project_name_is_possible(store: OpenFileStores, tmp_path: Path, project: str) -> None:
    async with store(tmp_path) as stores:
        await stores.files.add(a_file(project=project))

        assert await stores.files.find(project, a_file().id) == a_file(project=project)
        assert await stores.files.find(project + "x", a_file().id) is None
        assert [file.project for file in await stores.files.list_all()] == [project]


@each_store
async def test_a_page_continues_after_the_last_file_of_the_page_before(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        for number in (3, 1, 5, 2, 4):
            await stores.files.add(a_file(number))
        await stores.files.add(a_file(6, "another"))
        ids = [a_file(number).id for number in range(1, 6)]

        async def page(limit: int, after: str | None = None, *, newest_first: bool = True) -> list[str]:
            query = FileQuery(limit, after, newest_first)
            return [file.id for file in await stores.files.list("team", query, NOON)]

        assert await page(10) == ids[::-1]
        assert await page(2) == [ids[4], ids[3]]
        assert await page(2, ids[3]) == [ids[2], ids[1]]
        assert await page(2, ids[0]) == []
        assert await page(2, newest_first=False) == ids[:2]
        assert await page(9, ids[1], newest_first=False) == ids[2:]


@each_store
async def test_a_page_continues_after_a_file_that_was_deleted(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        for number in range(1, 5):
            await stores.files.add(a_file(number))
        await stores.files.delete("team", a_file(2).id)

        rest = await stores.files.list("team", FileQuery(10, a_file(2).id, newest_first=False), NOON)

        assert [file.id for file in rest] == [a_file(3).id, a_file(4).id]


@each_store
async def test_a_page_excludes_expired_files_and_other_purposes(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.files.add(a_file(1, purpose="user_data"))
        await stores.files.add(a_file(2, expires_at=NOON))
        await stores.files.add(a_file(3))

        live = await stores.files.list("team", FileQuery(10), NOON)
        images = await stores.files.list("team", FileQuery(10, purpose="vision"), NOON)

        assert [file.id for file in live] == [a_file(3).id, a_file(1).id]
        assert [file.id for file in images] == [a_file(3).id]


@each_store
async def test_of_concurrent_calls_one_expires_a_file(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.files.add(a_file())

        expired = await asyncio.gather(*[stores.files.expire("team", a_file().id, NOON) for _ in range(20)])

        assert sorted(expired) == [False] * 19 + [True]
        found = await stores.files.find("team", a_file().id)
        assert found is not None
        assert found.expires_at == NOON
        assert await stores.files.expire("team", a_file(2).id, NOON) is False
        assert await stores.files.expire("another", a_file().id, NOON - HOUR) is False
        assert await stores.files.find("team", a_file(2).id) is None


@each_store
async def test_expired_files_are_listed_until_they_are_deleted(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.files.add(a_file(1))
        await stores.files.add(a_file(2, expires_at=NOON + 2 * HOUR))

        assert await stores.files.expired("team", NOON) == []
        assert await stores.files.expired("team", NOON + HOUR) == [a_file(1)]
        await stores.files.delete("team", a_file(1).id)
        assert await stores.files.expired("team", NOON + HOUR) == []


@each_store
async def test_list_all_has_every_file_of_every_project_and_no_upload(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.files.add(a_file(2, "one"))
        await stores.files.add(a_file(1, "two", expires_at=NOON - HOUR))

        assert [file.project for file in await stores.files.list_all()] == ["two", "one"]
