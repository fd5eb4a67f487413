"""A full disk: files are refused with 507, and every other request is served; a start on it says what is wrong."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from obscura.errors import StorageFull
from obscura.stores.disk import DiskBlobStore
from obscura.stores.sqlite.database import open_database
from tests.support.gateway import running_gateway
from tests.support.serving_process import environment, run_obscura
from tests.support.small_disk import can_mount, on_small_disk, scenario
from tests.unit.imaging.images import a_photograph

on_a_disk_of_its_own = pytest.mark.skipif(not can_mount(), reason="needs user namespaces, to mount a small disk")


@on_a_disk_of_its_own
@pytest.mark.timeout(150)  # a server on a disk of its own, in another process
def test_a_project_that_fills_the_disk_takes_nobodys_admission(tmp_path: Path) -> None:
    seen = scenario(tmp_path, 40, "serve")

    assert seen["stored"] >= 10
    assert seen["refused"] == seen["part"] == seen["on_full"] == [507, "storage_full"]
    assert seen["with_reserve"] == {"200": 5}
    assert (seen["keyed"], seen["anonymous"]) == ({"200": 60}, {"200": 20})
    assert seen["deleted"] == {"200": seen["stored"]}
    assert seen["again"] == 200


@on_a_disk_of_its_own
@pytest.mark.timeout(150)
def test_tiny_files_leave_inodes_for_the_rest(tmp_path: Path) -> None:
    seen = scenario(tmp_path, 40, "inodes", inodes=1060)

    assert seen["refused"] == "storage_full"
    assert 5 <= seen["stored"] < 40
    assert seen["chats"] == {"200": 5}


@on_a_disk_of_its_own
@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["keys", "create", "--project", "team"]])
def test_a_start_on_a_full_disk_says_so(tmp_path: Path, command: list[str]) -> None:
    output = on_small_disk(tmp_path, 1, ["-m", "obscura.cli", *command], env=environment(tmp_path))

    assert output.endswith("\n1")
    assert f"The disk of the data folder {tmp_path} has no space for its databases" in " ".join(output.split())
    assert "OBSCURA_DATA_DIR" in output
    assert "Traceback" not in output


def test_a_start_on_a_data_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    response = run_obscura("serve", "--port", "0", env=environment(tmp_path / "file" / "data"))

    assert response.returncode == 1
    assert "cannot be written to: Not a directory" in " ".join(response.stderr.split())
    assert "Traceback" not in response.stderr


async def test_a_disk_below_its_reserve_takes_no_file_and_every_other_request(tmp_path: Path) -> None:
    async with running_gateway(folder=tmp_path, disk_reserve_mb=2**40) as gateway:
        response = await gateway.client.post("/v1/files", files={"file": ("a.jpg", a_photograph(9, 6, "JPEG"))})
        listed = await gateway.client.get("/v1/files")

        assert (response.status_code, response.json()["error"]["code"]) == (507, "storage_full")
        assert (listed.status_code, listed.json()["data"]) == (200, [])


async def test_concurrent_blobs_do_not_share_the_last_space(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    reserve_bytes = disk.f_bavail * disk.f_frsize - 50 * 2**20
    store = DiskBlobStore(tmp_path, reserve_bytes)
    with store._reserve.space_for(30 * 2**20), pytest.raises(StorageFull):
        await store.put("originals/file_1", bytes(40 * 2**20))


def test_a_reserve_is_made_once(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)):
        before = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        with closing(open_database(tmp_path)):
            pass
        assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == before
    assert before["counters.sqlite3"] >= 2 * 2**20
    assert before["counters.sqlite3-wal"] >= 4 * 2**20
    assert before["obscura.sqlite3-wal"] >= 2**20
