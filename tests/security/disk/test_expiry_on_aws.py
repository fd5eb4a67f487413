"""On AWS nothing runs between requests: TTL and lifecycle rules delete, and no code takes expired for live."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from obscura.auth.access import Principal
from obscura.errors import FileNotFound
from obscura.files.base import FileQuery, FileStorage, StoredFile, Upload, new_id
from obscura.files.service import find_file
from obscura.files.sweep import LEFTOVER_AGE, MAX_BLOB_AGE, sweep
from obscura.files.uploads import find_pending
from obscura.stores.disk import DiskBlobStore
from obscura.stores.dynamodb.tables import EXPIRES_AT, TABLES
from tests.support.aws_server import aws_server
from tests.support.file_stores import on_aws
from tests.support.forms import kept_in

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OWNER = Principal("team", zero_retention=False)


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with aws_server():
        yield


def test_the_template_deletes_by_itself_what_obscura_stores() -> None:
    template = (ROOT / "template.yaml").read_text()

    tables = re.findall(r"TableName: !Sub \$\{AWS::StackName\}-(\w+)\n((?:      .*\n)+)", template)
    ttl = f"TimeToLiveSpecification: {{AttributeName: {EXPIRES_AT}, Enabled: true}}"
    rules = re.findall(r"Prefix: (\w+)/, Status: Enabled, ExpirationInDays: (\d+)\}", template)

    assert {name for name, rest in tables if ttl in rest} >= {table.name for table in TABLES} - {"keys"}
    assert {name: int(days) for name, days in rules} == {"originals": MAX_BLOB_AGE.days, "prepared": 1, "parts": 1}
    assert "Status: Enabled, AbortIncompleteMultipartUpload: {DaysAfterInitiation: 1}" in template


async def test_an_item_that_has_expired_and_is_still_there_is_gone(tmp_path: Path) -> None:
    async with on_aws(tmp_path) as stores:
        storage = FileStorage(stores.files, stores.uploads, stores.blobs)
        file = StoredFile(new_id("file", NOON), "team", "a.jpg", "vision", "image/jpeg", 9, NOON, NOON + HOUR)
        uploads = [
            Upload(new_id("upload", NOON), "team", "a.jpg", "vision", 9, 3600, NOON, NOON + HOUR) for _ in range(2)
        ]
        await storage.files.add(file)
        for upload in uploads:
            await storage.uploads.add(upload)
        await storage.uploads.finish(uploads[1], "completed", file.id, NOON)
        await stores.verdicts.add_clean_all([bytes(32)], NOON, NOON + HOUR)

        assert await storage.files.find("team", file.id) is not None
        with pytest.raises(FileNotFound):
            await find_file(file.id, OWNER, storage, NOON + HOUR)
        for upload in uploads:
            with pytest.raises(FileNotFound):
                await find_pending(upload.id, OWNER, storage, NOON + HOUR)
        assert await storage.files.list("team", FileQuery(10), NOON + HOUR) == []
        assert await stores.verdicts.clean_among([bytes(32)], NOON + HOUR) == set()


async def test_bytes_on_disk_whose_records_are_in_dynamodb_go_by_their_age(tmp_path: Path) -> None:
    async with on_aws(tmp_path) as stores:
        disk = DiskBlobStore(tmp_path)
        storage = FileStorage(stores.files, stores.uploads, disk, swept_blobs=disk)
        await disk.put("originals/file_1", b"x")
        now = datetime.now(UTC)

        await sweep(storage, now + LEFTOVER_AGE + timedelta(days=6))
        assert kept_in(tmp_path) == ["originals/file_1"]
        await sweep(storage, now + MAX_BLOB_AGE + HOUR)
        assert kept_in(tmp_path) == []
