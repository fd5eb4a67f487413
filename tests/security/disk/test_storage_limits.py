"""One project takes no other's storage: its limits are exact over HTTP, by setting and by key, parts included."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from obscura.errors import StoreUnavailable
from obscura.files.base import BlobStore
from obscura.stores.open import local_stores
from obscura.stores.sqlite.database import open_database
from tests.support.forms import kept_in
from tests.support.gateway import Gateway, running_gateway
from tests.support.serving_process import environment, run_obscura
from tests.unit.imaging.images import a_photograph

PHOTO = a_photograph(90, 60, "JPEG")


async def store(gateway: Gateway, headers: dict[str, str] | None = None) -> httpx.Response:
    return await gateway.client.post("/v1/files", files={"file": ("a.jpg", PHOTO)}, headers=headers)


async def begin(
    gateway: Gateway, declared_bytes: int = len(PHOTO), headers: dict[str, str] | None = None
) -> httpx.Response:
    upload = {"filename": "a.jpg", "bytes": declared_bytes, "mime_type": "image/jpeg", "purpose": "vision"}
    return await gateway.client.post("/v1/uploads", json=upload, headers=headers)


async def complete(gateway: Gateway, upload_id: str) -> httpx.Response:
    part = await gateway.client.post(f"/v1/uploads/{upload_id}/parts", files={"data": PHOTO})
    return await gateway.client.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": [part.json()["id"]]})


def codes(responses: Sequence[httpx.Response]) -> dict[int, int]:
    return dict(Counter(response.status_code for response in responses))


@pytest.mark.gateway(project_files=5)
async def test_of_concurrent_files_as_many_are_stored_as_the_limit_allows(demo_gateway: Gateway) -> None:
    responses = await asyncio.gather(*[store(demo_gateway) for _ in range(12)])
    other = await store(demo_gateway, await demo_gateway.headers_of("other"))

    assert codes(responses) == {200: 5, 507: 7}
    refused = next(response for response in responses if response.status_code == 507).json()["error"]
    assert refused["code"] == "storage_full"
    assert "5 files" in refused["message"]
    assert "Delete files" in refused["message"]
    assert other.status_code == 200
    assert len(kept_in(demo_gateway.data_dir)) == 6


@pytest.mark.gateway(project_storage_mb=1)
async def test_begun_uploads_count_before_their_first_part(demo_gateway: Gateway) -> None:
    begun = [await begin(demo_gateway, 200_000) for _ in range(4)]
    stored = await store(demo_gateway)
    cancelled = await demo_gateway.client.post(f"/v1/uploads/{begun[0].json()['id']}/cancel")
    again = await begin(demo_gateway, 200_000)

    assert [response.status_code for response in begun] == [200, 200, 507, 507]
    assert stored.status_code == 200
    assert (cancelled.status_code, again.status_code) == (200, 200)


@pytest.mark.gateway(project_files=1)
async def test_an_upload_that_was_begun_within_the_limits_can_be_completed(demo_gateway: Gateway) -> None:
    begun = await begin(demo_gateway)
    assert (await store(demo_gateway)).status_code == 507

    completed = await complete(demo_gateway, begun.json()["id"])
    over = await store(demo_gateway)
    deleted = await demo_gateway.client.delete(f"/v1/files/{completed.json()['file']['id']}")
    after = await store(demo_gateway)

    assert (completed.status_code, over.status_code) == (200, 507)
    assert (deleted.status_code, after.status_code) == (200, 200)


async def test_a_key_has_limits_of_its_own(demo_gateway: Gateway) -> None:
    few = await demo_gateway.headers_of("few", max_files=1)
    none = await demo_gateway.headers_of("none", max_storage_bytes=0)

    assert codes([await store(demo_gateway, few) for _ in range(3)]) == {200: 1, 507: 2}
    assert (await store(demo_gateway, none)).status_code == 507
    assert (await begin(demo_gateway, 1, none)).status_code == 507
    assert (await store(demo_gateway)).status_code == 200


class SetClock:
    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        return self.at


async def test_expired_files_make_space_at_once() -> None:
    clock = SetClock()
    async with running_gateway(clock, project_files=2) as gateway:
        assert codes([await store(gateway) for _ in range(3)]) == {200: 2, 507: 1}
        clock.at += timedelta(hours=24)

        assert (await store(gateway)).status_code == 200
        assert len(kept_in(gateway.data_dir)) == 1


class UndeletableBlobs:
    """A blob store whose deletes fail, as S3's may."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self.put, self.get = blobs.put, blobs.get

    async def delete(self, names: Sequence[str]) -> None:
        raise StoreUnavailable("unreachable", retry_after_s=1)


async def test_bytes_that_cannot_be_deleted_fail_no_upload_and_no_other_file(tmp_path: Path) -> None:
    clock = SetClock()
    database = open_database(None)
    stores = local_stores(database, tmp_path)
    undeletable = replace(stores.storage, blobs=UndeletableBlobs(stores.storage.blobs), swept_records=None)
    async with running_gateway(clock, tmp_path / "other", stores=replace(stores, storage=undeletable)) as gateway:
        begun = await begin(gateway)
        completed = await complete(gateway, begun.json()["id"])
        first = await store(gateway)
        clock.at += timedelta(hours=25)
        after_expiry = await store(gateway)

        assert (completed.status_code, first.status_code, after_expiry.status_code) == (200, 200, 200)
        assert (await gateway.client.get(f"/v1/files/{first.json()['id']}")).status_code == 404
    database.close()


def test_keys_are_made_and_listed_with_their_storage(tmp_path: Path) -> None:
    env = environment(tmp_path)
    made = run_obscura("keys", "create", "--project", "t", "--max-storage-mb", "500", "--max-files", "1000", env=env)
    listed = run_obscura("keys", "list", env=env | {"COLUMNS": "200"})

    assert made.returncode == 0
    assert "500 MiB" in " ".join(listed.stdout.split())
    assert "1,000 files" in " ".join(listed.stdout.split())
