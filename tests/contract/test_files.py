"""What every store of files promises, whichever it is."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from obscura.files.base import FileQuery, StoredFile
from tests.support.aws_server import aws_server
from tests.support.file_stores import on_aws, on_this_machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
each_store = pytest.mark.parametrize("store", [on_this_machine, on_aws])


@pytest.fixture(scope="module", autouse=True)
def _aws():
    with aws_server():
        yield


def a_file(number: int = 1, project: str = "team", **response: object) -> StoredFile:
    known = {
        "id": f"file_{number:036x}",
        "project": project,
        "filename": "cät.jpg",
        "purpose": "vision",
        "media_type": "image/jpeg",
        "size_bytes": 12345,
        "created_at": NOON,
        "expires_at": NOON + HOUR,
    }
    return StoredFile(**(known | response))


@each_store
async def test_a_file_is_found_by_its_project_as_it_was_added_and_by_no_other(store, tmp_path):
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
async def test_any_projects_name_will_do(store, tmp_path, project):
    async with store(tmp_path) as stores:
        await stores.files.add(a_file(project=project))

        assert await stores.files.find(project, a_file().id) == a_file(project=project)
        assert await stores.files.find(project + "x", a_file().id) is None
        assert [file.project for file in await stores.files.everywhere()] == [project]


@each_store
async def test_a_page_goes_on_behind_the_last_file_of_the_page_before(store, tmp_path):
    async with store(tmp_path) as stores:
        for number in (3, 1, 5, 2, 4):
            await stores.files.add(a_file(number))
        await stores.files.add(a_file(6, "another"))
        ids = [a_file(number).id for number in range(1, 6)]

        async def page(*asked, **more):
            return [file.id for file in await stores.files.page("team", FileQuery(*asked, **more), NOON)]

        assert await page(10) == ids[::-1]
        assert await page(2) == [ids[4], ids[3]]
        assert await page(2, ids[3]) == [ids[2], ids[1]]
        assert await page(2, ids[0]) == []
        assert await page(2, newest_first=False) == ids[:2]
        assert await page(9, ids[1], newest_first=False) == ids[2:]


@each_store
async def test_a_page_goes_on_behind_a_file_that_was_removed(store, tmp_path):
    async with store(tmp_path) as stores:
        for number in range(1, 5):
            await stores.files.add(a_file(number))
        await stores.files.remove("team", a_file(2).id)

        behind = await stores.files.page("team", FileQuery(10, a_file(2).id, newest_first=False), NOON)

        assert [file.id for file in behind] == [a_file(3).id, a_file(4).id]


@each_store
async def test_a_page_leaves_out_expired_files_and_other_purposes(store, tmp_path):
    async with store(tmp_path) as stores:
        await stores.files.add(a_file(1, purpose="user_data"))
        await stores.files.add(a_file(2, expires_at=NOON))
        await stores.files.add(a_file(3))

        every = await stores.files.page("team", FileQuery(10), NOON)
        images = await stores.files.page("team", FileQuery(10, purpose="vision"), NOON)

        assert [file.id for file in every] == [a_file(3).id, a_file(1).id]
        assert [file.id for file in images] == [a_file(3).id]


@each_store
async def test_of_many_who_end_a_file_at_once_one_does(store, tmp_path):
    async with store(tmp_path) as stores:
        await stores.files.add(a_file())

        ended = await asyncio.gather(*[stores.files.expire("team", a_file().id, NOON) for _ in range(20)])

        assert sorted(ended) == [False] * 19 + [True]
        assert (await stores.files.find("team", a_file().id)).expires_at == NOON
        assert await stores.files.expire("team", a_file(2).id, NOON) is False
        assert await stores.files.expire("another", a_file().id, NOON - HOUR) is False
        assert await stores.files.find("team", a_file(2).id) is None


@each_store
async def test_expired_files_are_given_until_they_are_removed(store, tmp_path):
    async with store(tmp_path) as stores:
        await stores.files.add(a_file(1))
        await stores.files.add(a_file(2, expires_at=NOON + 2 * HOUR))

        assert await stores.files.expired("team", NOON) == []
        assert await stores.files.expired("team", NOON + HOUR) == [a_file(1)]
        await stores.files.remove("team", a_file(1).id)
        assert await stores.files.expired("team", NOON + HOUR) == []


@each_store
async def test_the_operator_sees_every_file_of_every_project_and_no_upload(store, tmp_path):
    async with store(tmp_path) as stores:
        await stores.files.add(a_file(2, "one"))
        await stores.files.add(a_file(1, "two", expires_at=NOON - HOUR))

        assert [file.project for file in await stores.files.everywhere()] == ["two", "one"]
