"""What has expired is gone: bytes, prepared forms and records, in time and without traffic."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from obscura.auth.base import Window
from obscura.files.base import StoredFile, Upload, new_id, original_blob, part_blob, prepared_blob
from obscura.files.sweep import INTERVAL_S, MAX_SWEEP_S, sweep, sweep_forever
from obscura.stores.open import Stores, local_stores
from obscura.stores.sqlite.database import Database, open_database
from tests.support.forms import kept_in
from tests.support.gateway import Gateway, running_gateway
from tests.unit.imaging.images import a_photograph

HOUR = timedelta(hours=1)


class SetClock:
    """A clock that a test sets."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime.now(UTC).replace(microsecond=0))


@asynccontextmanager
async def opened(data_dir: Path) -> AsyncIterator[Stores]:
    with closing(open_database(data_dir)) as database:
        yield local_stores(database, data_dir)


async def store_files(stores: Stores, count: int, at: datetime, project: str = "team") -> list[StoredFile]:
    files = []
    for _ in range(count):
        file = StoredFile(new_id("file", at), project, "a.jpg", "vision", "image/jpeg", 4, at, at + HOUR)
        await stores.storage.blobs.put(original_blob(file.id), b"1234")
        await stores.storage.blobs.put(prepared_blob(file.id, "low"), b"12")
        await stores.storage.files.add(file)
        files.append(file)
    return files


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_files_are_gone_within_ten_minutes_of_their_expiry_without_traffic(
    tmp_path: Path, clock: SetClock
) -> None:
    async with opened(tmp_path) as stores:
        stored_at = clock.at
        await store_files(stores, 20, stored_at)
        gone_at: list[datetime] = []

        async def let_time_pass(seconds: float) -> None:
            if not kept_in(tmp_path):
                gone_at.append(clock.at)
                raise asyncio.CancelledError
            clock.at += timedelta(seconds=seconds)

        with pytest.raises(asyncio.CancelledError):
            await sweep_forever(stores.storage, clock, let_time_pass)

        late = gone_at[0] - (stored_at + HOUR)
        assert timedelta(0) <= late
        assert late.total_seconds() + MAX_SWEEP_S <= 600
        assert await stores.storage.files.list_all() == []
        assert INTERVAL_S + MAX_SWEEP_S <= 600


async def test_a_gateway_that_starts_deletes_all_that_expired_while_it_was_off(tmp_path: Path, clock: SetClock) -> None:
    async with running_gateway(clock, tmp_path) as gateway:
        for _ in range(3):
            await stored_by(gateway)
        file_id = (await stored_by(gateway)).removeprefix("originals/")
    async with opened(tmp_path) as stores:
        await store_files(stores, 20, clock.at - HOUR)
    assert len(kept_in(tmp_path)) > 40

    clock.at += timedelta(hours=23)
    async with running_gateway(clock, tmp_path):
        await until(lambda: len(kept_in(tmp_path)) == 4)
        assert f"originals/{file_id}" in kept_in(tmp_path)
    clock.at += timedelta(hours=2)
    async with running_gateway(clock, tmp_path) as gateway:
        await until(lambda: kept_in(gateway.data_dir) == [])


async def stored_by(gateway: Gateway) -> str:
    response = await gateway.client.post("/v1/files", files={"file": ("a.jpg", a_photograph(90, 60, "JPEG"))})
    return f"originals/{response.json()['id']}"


async def test_what_a_killed_process_left_is_gone_after_an_hour_and_not_before(tmp_path: Path, clock: SetClock) -> None:
    async with opened(tmp_path) as stores:
        (live,) = await store_files(stores, 1, clock.at + 5 * HOUR)
        upload = Upload(new_id("upload", clock.at), "team", "a.jpg", "vision", 9, 3600, clock.at, clock.at + HOUR)
        await stores.storage.uploads.add(upload)
        for name in (
            original_blob(new_id("file", clock.at)),
            prepared_blob(new_id("file", clock.at), "auto"),
            part_blob(new_id("upload", clock.at), "part_1"),
            part_blob(upload.id, "part_1"),
        ):
            await stores.storage.blobs.put(name, b"left")
        temporary = tmp_path / "files" / "originals" / f".{'0' * 16}"
        temporary.write_bytes(b"half")
        left = kept_in(tmp_path)

        await sweep(stores.storage, clock.at + timedelta(minutes=59))
        assert kept_in(tmp_path) == left
        await sweep(stores.storage, clock.at + timedelta(minutes=61))

        assert kept_in(tmp_path) == [original_blob(live.id), prepared_blob(live.id, "low")]
        folders = [path.name for path in (tmp_path / "files").rglob("*") if path.is_dir()]
        assert sorted(folders) == sorted(["originals", "parts", "prepared", live.id])


async def test_an_upload_abandoned_after_its_last_part_is_gone(tmp_path: Path, clock: SetClock) -> None:
    async with opened(tmp_path) as stores:
        upload = Upload(new_id("upload", clock.at), "team", "a.jpg", "vision", 9, 3600, clock.at, clock.at + HOUR)
        await stores.storage.uploads.add(upload)
        await stores.storage.blobs.put(part_blob(upload.id, "part_1"), b"123456789")
        assert await stores.storage.uploads.add_part(upload, "part_1", 9, clock.at)

        await sweep(stores.storage, clock.at + HOUR)

        assert kept_in(tmp_path) == []
        assert await stores.storage.uploads.find("team", upload.id) is None


async def test_a_file_that_cannot_be_deleted_does_not_hold_the_others_back(tmp_path: Path, clock: SetClock) -> None:
    async with opened(tmp_path) as stores:
        files = await store_files(stores, 110, clock.at)
        stuck = tmp_path / "files" / original_blob(files[0].id)
        stuck.unlink()
        stuck.mkdir()
        (stuck / "in_the_way").write_bytes(b"x")

        await sweep(stores.storage, clock.at + HOUR)

        assert [file.id for file in await stores.storage.files.list_all()] == [files[0].id]
        assert len([path for path in (tmp_path / "files" / "originals").iterdir() if path.is_file()]) == 0


async def test_two_processes_sweep_one_folder_while_files_are_stored_in_it(tmp_path: Path, clock: SetClock) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        await store_files(one, 120, clock.at - HOUR)

        _, _, stored = await asyncio.gather(
            sweep(one.storage, clock.at), sweep(other.storage, clock.at), store_files(other, 60, clock.at)
        )

        kept = [original_blob(file.id) for file in stored] + [prepared_blob(file.id, "low") for file in stored]
        assert kept_in(tmp_path) == sorted(kept)


async def test_symbolic_links_and_foreign_files_are_left_alone(tmp_path: Path, clock: SetClock) -> None:
    outside = tmp_path / "outside"
    (outside / "file_1").mkdir(parents=True)
    (outside / "file_1" / "low").write_bytes(b"not ours")
    async with opened(tmp_path / "data") as stores:
        await store_files(stores, 1, clock.at)
        top = tmp_path / "data" / "files"
        (top / "prepared" / "linked").symlink_to(outside, target_is_directory=True)
        (top / "originals" / "file_2").symlink_to(outside / "file_1" / "low")
        (top / "originals" / "Notes.txt").write_text("an operator's")

        await sweep(stores.storage, clock.at + 9 * HOUR)

        assert (outside / "file_1" / "low").read_bytes() == b"not ours"
        assert sorted(path.name for path in top.rglob("*")) == [
            "Notes.txt", "file_2", "linked", "originals", "prepared",
        ]  # fmt: skip


async def test_a_clock_that_goes_back_deletes_nothing_and_forgets_no_count(tmp_path: Path, clock: SetClock) -> None:
    async with opened(tmp_path) as stores:
        window = Window.around(clock.at, 24 * 3600)
        assert await stores.rates.increment("free:1", window) == 1
        await store_files(stores, 3, clock.at)
        left = kept_in(tmp_path)

        await sweep(stores.storage, clock.at - timedelta(days=30))
        await sweep(stores.storage, clock.at + timedelta(minutes=30))

        assert kept_in(tmp_path) == left
        assert await stores.rates.increment("free:1", window) == 2


async def test_expired_verdicts_and_counters_are_deleted(tmp_path: Path, clock: SetClock) -> None:
    with closing(open_database(tmp_path)) as database:
        stores = local_stores(database, tmp_path)
        digests = [os.urandom(32) for _ in range(450)]
        await stores.verdicts.add_clean_all(digests, clock.at, clock.at + HOUR)
        for number in range(300):
            await stores.rates.increment(f"key:{number}", Window.around(clock.at, 60))

        await sweep(stores.storage, clock.at + timedelta(minutes=59))
        assert counts(database) == (450, 300)
        await sweep(stores.storage, clock.at + timedelta(days=3))
        assert counts(database) == (0, 0)


def counts(database: Database) -> tuple[int, int]:
    (verdicts,) = database.connection.execute("SELECT count(*) FROM verdicts").fetchone()
    (counters,) = database.counters.connection.execute("SELECT count(*) FROM counters").fetchone()
    return verdicts, counters


async def test_a_sweep_ends_in_time_and_the_next_one_goes_on(tmp_path: Path, clock: SetClock) -> None:
    async with opened(tmp_path) as stores:
        await store_files(stores, 5, clock.at)

        await sweep(stores.storage, clock.at + HOUR, max_s=0.0)
        assert len(kept_in(tmp_path)) == 10
        await sweep(stores.storage, clock.at + HOUR)
        assert kept_in(tmp_path) == []
