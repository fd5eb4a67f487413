"""Stored data of earlier versions: it is still read, and still written in the same form.

``tests/fixtures/stored_data`` was written by the code of commit ec124aa, with the calls of ``write_all`` below: a data
folder (SQLite, blobs, address secret) and the items of the DynamoDB tables as moto's server holds them.
"""

import base64
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import pytest

from obscura.auth.access import Principal
from obscura.auth.api_keys import KeyCacheTtl, key_digest
from obscura.auth.base import ApiKey, Counter, Window
from obscura.auth.limits import Address, day_window, minute_counters, quota_counters
from obscura.clock import SystemClock
from obscura.documents.base import DocumentLimits
from obscura.documents.render import DocumentRenderer
from obscura.execution import Caller, ImageExecutor
from obscura.files.base import FileQuery, StorageLimits, StoredFile, Upload, original_blob, part_blob, prepared_blob
from obscura.files.service import FileService
from obscura.files.stored_images import StoredImages, StoredOriginal
from obscura.imaging import ImageLimits, PreparedImage
from obscura.stores.disk import DiskBlobStore
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.keys import DynamoAddressSecret
from obscura.stores.dynamodb.storage import USAGE_ID
from obscura.stores.dynamodb.tables import TABLES, create_missing_tables
from obscura.stores.open import Stores, dynamodb_stores, local_stores
from obscura.stores.sqlite.counters_file import COUNTERS_FILE
from obscura.stores.sqlite.database import DATABASE_FILE, open_database
from obscura.stores.sqlite.keys import SECRET_FILE
from tests.support.aws_server import aws_server
from tests.support.gateway import chat_request, running_gateway
from tests.support.stores import a_table

STORED = Path(__file__).parents[1] / "fixtures" / "stored_data"
ITEMS = json.loads((STORED / "dynamodb.json").read_text())

NOON = datetime(2026, 3, 1, 12, 0, 10, 7, tzinfo=UTC)
CREATED, FAR = NOON.replace(microsecond=0), datetime(2100, 1, 1, tzinfo=UTC)
MINUTE = Window.around(NOON, 60)
ADDRESSES = (ip_address("203.0.113.7"), ip_address("2001:db8::7"))
LIVE = ApiKey("key_live", "team é", False, NOON)
SCOPED = ApiKey("key_scoped", "zero", True, NOON + timedelta(seconds=1), None, frozenset({"chat", "files"}), 7)
REVOKED = ApiKey("key_revoked", "team é", False, NOON + timedelta(seconds=2))
FILE = StoredFile(f"file_{1:036x}", "team é", "cät.png", "vision", "image/png", 3786, CREATED, FAR)
EXPIRED = StoredFile(
    f"file_{2:036x}", "team é", "old.png", "user_data", "image/png", 9, CREATED, CREATED + timedelta(hours=1)
)
PENDING = Upload(f"upload_{1:036x}", "team é", "in parts.png", "user_upload", 1000, 3600, CREATED, FAR)
COMPLETED = Upload(f"upload_{2:036x}", "team é", "done.png", "vision", 500, 7200, CREATED, FAR)
PART_ID = f"part_{1:036x}"
DIGEST = bytes(range(32))

type Item = dict[str, Any]
type OpenStored = Callable[[Path], AbstractAsyncContextManager[Stores]]


async def write_all(stores: Stores) -> None:
    """Write one of everything that is stored, but for the blobs."""
    await stores.keys.add(LIVE, key_digest("obs_live"))
    await stores.keys.add(SCOPED, key_digest("obs_scoped"))
    await stores.keys.add(REVOKED, key_digest("obs_revoked"))
    await stores.keys.revoke(REVOKED.id, NOON + timedelta(days=1))
    for _ in range(3):
        await stores.rates.increment("key:key_live", MINUTE)
    for address in ADDRESSES:
        await stores.quotas.reserve(await counters_of(address, stores))
    await stores.quotas.reserve(await minute_counters(ADDRESSES[0], 30, MINUTE, stores.address_secret))
    await stores.storage.files.add(FILE)
    await stores.storage.files.add(EXPIRED)
    await stores.storage.uploads.add(PENDING)
    assert await stores.storage.uploads.add_part(PENDING, PART_ID, 700, NOON)
    await stores.storage.uploads.add(COMPLETED)
    assert await stores.storage.uploads.finish(COMPLETED, "completed", FILE.id, NOON)
    await stores.verdicts.add_clean_all([DIGEST], NOON, FAR)


async def counters_of(address: Address, stores: Stores) -> list[Counter]:
    return await quota_counters(address, 2, day_window(NOON), stores.address_secret)


@asynccontextmanager
async def sqlite_stored(folder: Path) -> AsyncIterator[Stores]:
    data_dir = Path(shutil.copytree(STORED / "data", folder / "data"))
    with closing(open_database(data_dir)) as database:
        yield local_stores(database, data_dir)


@asynccontextmanager
async def sqlite_opened(data_dir: Path) -> AsyncIterator[Stores]:
    with closing(open_database(data_dir)) as database:
        yield local_stores(database, data_dir)


@asynccontextmanager
async def dynamodb_stored(folder: Path) -> AsyncIterator[Stores]:
    data_dir = Path(shutil.copytree(STORED / "data", folder / "data"))
    with aws_server(), closing(DynamoDb(a_table())) as database, closing(boto3.client("dynamodb")) as client:
        await create_missing_tables(database)
        for table, items in ITEMS.items():
            for item in items:
                client.put_item(TableName=database.table(table), Item=with_bytes(item))
        yield dynamodb_stores(database, DiskBlobStore(data_dir), DynamoAddressSecret(database), KeyCacheTtl(0.0))


def with_bytes(item: Item) -> Item:
    """JSON has no bytes, which are in base64 here."""
    return {name: {"B": base64.b64decode(value["B"])} if "B" in value else value for name, value in item.items()}


each_store = pytest.mark.parametrize("open_stored", [sqlite_stored, dynamodb_stored])


@each_store
async def test_stored_keys_authenticate_and_revoked_ones_do_not(open_stored: OpenStored, tmp_path: Path) -> None:
    async with open_stored(tmp_path) as stores:
        assert await stores.keys.find(key_digest("obs_live")) == LIVE
        assert await stores.keys.find(key_digest("obs_scoped")) == SCOPED
        assert await stores.keys.find(key_digest("obs_revoked")) is None
        assert await stores.keys.list_all() == [LIVE, SCOPED, replace(REVOKED, revoked_at=NOON + timedelta(days=1))]
        assert await stores.keys.revoke(LIVE.id, NOON) is True


@each_store
async def test_stored_counters_continue(open_stored: OpenStored, tmp_path: Path) -> None:
    async with open_stored(tmp_path) as stores:
        assert await stores.rates.increment("key:key_live", MINUTE) == 4
        in_minute = await minute_counters(ADDRESSES[0], 30, MINUTE, stores.address_secret)
        assert await stores.quotas.used(in_minute) == [1]
        for address, networks in zip(ADDRESSES, (1, 3), strict=True):
            counters = await counters_of(address, stores)
            assert await stores.quotas.used(counters) == [1] * networks
            assert await stores.quotas.reserve(counters) is not None
            assert await stores.quotas.reserve(counters) is None


@each_store
async def test_stored_files_and_uploads_are_found(open_stored: OpenStored, tmp_path: Path) -> None:
    async with open_stored(tmp_path) as stores:
        storage = stores.storage
        assert await storage.files.list_all() == [FILE, EXPIRED]
        assert await storage.files.list("team é", FileQuery(10), NOON + timedelta(days=1)) == [FILE]
        assert await storage.files.expired("team é", NOON + timedelta(days=1)) == [EXPIRED]
        original = await storage.blobs.get(original_blob(FILE.id))
        assert original is not None
        assert len(original) == FILE.size_bytes
        assert await storage.uploads.find("team é", PENDING.id) == replace(PENDING, parts={PART_ID: 700})
        assert await storage.blobs.get(part_blob(PENDING.id, PART_ID)) == bytes(700)
        assert await storage.uploads.add_part(PENDING, "part_2", 300, NOON) is True
        completed = await storage.uploads.find("team é", COMPLETED.id)
        assert completed == replace(COMPLETED, status="completed", file_id=FILE.id)


def file_service(stores: Stores, executor: ImageExecutor) -> FileService:
    return FileService(stores.storage, executor, ImageLimits(), SystemClock(), DocumentRenderer(), DocumentLimits())


@each_store
async def test_an_image_that_an_older_version_prepared_is_prepared_again_once(
    open_stored: OpenStored, tmp_path: Path
) -> None:
    async with open_stored(tmp_path) as stores:
        executor = ImageExecutor(1)
        service = file_service(stores, executor)
        images = StoredImages(Principal("team é", zero_retention=False), service)

        found = await images.find(FILE.id, "low")
        assert isinstance(found, StoredOriginal)
        first = await found.prepare(Caller("key:1"))
        executor.close()
        second = await images.find(FILE.id, "low")

        assert isinstance(second, PreparedImage)
        assert (first.width_px, first.height_px, first.unchanged) == (768, 576, False)
        assert second.data == first.data


@each_store
async def test_a_stored_verdict_is_valid(open_stored: OpenStored, tmp_path: Path) -> None:
    async with open_stored(tmp_path) as stores:
        assert await stores.verdicts.clean_among([DIGEST], NOON) == {DIGEST}


async def test_a_gateway_serves_a_stored_data_folder(tmp_path: Path) -> None:
    data_dir = Path(shutil.copytree(STORED / "data", tmp_path / "data"))
    headers = {"authorization": "Bearer obs_live"}
    image = {"type": "image_url", "image_url": {"file_id": FILE.id, "detail": "low"}}
    async with running_gateway(folder=data_dir) as gateway:
        listed = await gateway.client.get("/v1/files", headers=headers)
        chat = await gateway.chat(chat_request(image), headers=headers)

        assert [file["id"] for file in listed.json()["data"]] == [FILE.id]
        assert (chat.status_code, "x-image-tokens" in chat.headers) == (200, True)


async def test_sqlite_rows_are_written_in_the_same_form(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        shutil.copy(STORED / "data" / SECRET_FILE, tmp_path)
        await write_all(local_stores(database, tmp_path))

    # The counters moved to a file of their own (ADR 79); what a project has stored is counted beside (ADR 78).
    # And are kept longer than their windows (ADR 71).
    written = rows(tmp_path / DATABASE_FILE) | {"counters": without_end(rows(tmp_path / COUNTERS_FILE)["counters"])}
    stored = rows(STORED / "data" / DATABASE_FILE)
    stored["counters"] = without_end(stored["counters"])
    assert {table: [row[: len(stored[table][0])] for row in written[table]] for table in stored} == stored
    assert written["storage"] == [("team é", FILE.size_bytes + EXPIRED.size_bytes + PENDING.max_bytes, 3)]


def without_end(counters: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(subject, begins_at_s, taken) for subject, begins_at_s, taken, *_ in counters]


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in names}  # noqa: S608


async def test_the_counts_of_an_earlier_version_are_not_forgotten_by_servers_that_start_at_once(tmp_path: Path) -> None:
    data_dir = Path(shutil.copytree(STORED / "data", tmp_path / "data"))

    def start(_: int) -> None:
        open_database(data_dir).close()

    with ThreadPoolExecutor(4) as servers:
        list(servers.map(start, range(4)))

    async with sqlite_opened(data_dir) as stores:
        assert await stores.rates.increment("key:key_live", MINUTE) == 4


async def test_what_an_earlier_version_stored_counts_against_the_limits(tmp_path: Path) -> None:
    stored_bytes = FILE.size_bytes + EXPIRED.size_bytes + PENDING.max_bytes
    for open_stored in (sqlite_stored, dynamodb_stored):
        folder = tmp_path / open_stored.__name__
        async with open_stored(folder) as stores:
            # Where the items had to be counted, the expired file was left out.
            for limit in (stored_bytes - EXPIRED.size_bytes, stored_bytes):
                limits = StorageLimits(limit, 100)
                assert not await stores.storage.files.add(replace(FILE, id=f"file_{9:036x}", size_bytes=10), limits)
            assert await stores.storage.files.has_space("team é", 1, StorageLimits(stored_bytes + 1, 4), NOON)


async def test_dynamodb_items_are_written_in_the_same_form(tmp_path: Path) -> None:
    with aws_server(), closing(DynamoDb(a_table())) as database, closing(boto3.client("dynamodb")) as client:
        await create_missing_tables(database)
        (secret,) = [item for item in ITEMS["keys"] if "secret" in item]
        client.put_item(TableName=database.table("keys"), Item=with_bytes(secret))
        stores = dynamodb_stores(database, DiskBlobStore(tmp_path), DynamoAddressSecret(database), KeyCacheTtl(0.0))

        await write_all(stores)

        for table in TABLES:
            scanned = client.scan(TableName=database.table(table.name))["Items"]
            items = [item for item in scanned if item.get("id") != {"S": USAGE_ID}]  # ADR 78
            stored = [with_bytes(item) for item in ITEMS.get(table.name, ())]
            if table.name in {"rates", "quotas"}:  # counters are kept longer than their windows (ADR 71)
                items, stored = ([item | {"expires_at": {}} for item in each] for each in (items, stored))
            assert canonical(items) == canonical(stored), table.name


def canonical(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Items and sets have no order."""

    def attribute(value: Mapping[str, Any]) -> Mapping[str, Any]:
        return {kind: sorted(content) if kind == "SS" else content for kind, content in value.items()}

    return sorted(repr(sorted((name, attribute(value)) for name, value in item.items())) for item in items)


async def test_prepared_images_are_written_in_the_same_form_but_for_the_version(tmp_path: Path) -> None:
    async with sqlite_stored(tmp_path) as stores:
        name = prepared_blob(FILE.id, "low")
        before = await stores.storage.blobs.get(name)
        await stores.storage.blobs.delete([name])
        with closing(ImageExecutor(1)) as executor:
            service = file_service(stores, executor)
            found = await StoredImages(Principal("team é", zero_retention=False), service).find(FILE.id, "low")
            assert isinstance(found, StoredOriginal)
            await found.prepare(Caller("key:1"))

        after = await stores.storage.blobs.get(name)
        assert before is not None
        assert after is not None
        header = json.loads(before.partition(b"\n")[0]) | {"as_of": 2, "flatten_onto": [255, 255, 255]}
        assert json.loads(after.partition(b"\n")[0]) == header  # encoders may change
