"""The contract of every store of responses: its records, with long bodies on the disk and in S3."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from obscura.auth.access import Principal
from obscura.documents.base import DocumentLimits
from obscura.documents.render import DocumentRenderer
from obscura.errors import ResponseNotFound
from obscura.execution import ImageExecutor, gather_or_raise_first
from obscura.files.base import FileQuery, FileStorage, original_blob
from obscura.files.response_records import ResponseRecord, ResponseRepository
from obscura.files.responses import (
    MAX_INLINE_BYTES,
    MAX_RESPONSE_BYTES,
    ResponseStore,
    StoredBody,
    delete_response,
    load_items,
    load_response,
    store_response,
)
from obscura.files.service import FileService
from obscura.imaging import ImageLimits
from tests.support.access_control import FixedClock
from tests.support.aws_server import aws_server
from tests.support.file_stores import OpenFileStores, Stores, on_aws, on_this_machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORD = ResponseRecord("a", "resp_1", ("msg_1", "msg_2"), ("file_1",), NOON, b'{"input":[]}')
each_store = pytest.mark.parametrize("store", [on_this_machine, on_aws])
OWNER = Principal("a", zero_retention=False)


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with aws_server():
        yield


def a_store(stores: Stores) -> ResponseStore:
    storage = FileStorage(stores.files, stores.uploads, stores.blobs)
    with closing(ImageExecutor()) as executor, closing(DocumentRenderer()) as documents:
        service = FileService(storage, executor, ImageLimits(), FixedClock(NOON), documents, DocumentLimits())
    return ResponseStore(stores.responses, service, 3600)


def an_item(name: str, text: str = "") -> Raw:
    return Raw(msgspec.json.encode({"id": name, "type": "message", "text": text}))


def a_body(*output: Raw, of: tuple[Raw, ...] = ()) -> StoredBody:
    return StoredBody(list(of), {"output": Raw(msgspec.json.encode(list(output)))})


@each_store
async def test_a_record_is_found_as_it_was_added_by_its_project(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.responses.add(RECORD)

        assert await stores.responses.find("a", "resp_1") == RECORD
        assert await stores.responses.find("b", "resp_1") is None
        assert await stores.responses.find("a", "msg_1") is None
        assert await stores.responses.responses_of("a", ["msg_1", "msg_2", "resp_1", "none"]) == {
            "msg_1": "resp_1",
            "msg_2": "resp_1",
        }
        assert await stores.responses.responses_of("b", ["msg_1"]) == {}


@each_store
async def test_a_record_replaces_that_with_its_id(store: OpenFileStores, tmp_path: Path) -> None:
    changed = replace(RECORD, item_ids=("msg_1",), body=b"", body_file_id="file_2")
    async with store(tmp_path) as stores:
        await stores.responses.add(RECORD)
        await stores.responses.add(changed)

        assert await stores.responses.find("a", "resp_1") == changed


@each_store
async def test_a_deleted_record_is_gone_with_its_items(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.responses.add(RECORD)
        await stores.responses.add(replace(RECORD, project="b"))
        await gather_or_raise_first([stores.responses.delete(RECORD), stores.responses.delete(RECORD)])

        assert await stores.responses.find("a", "resp_1") is None
        assert await stores.responses.responses_of("a", ["msg_1", "msg_2"]) == {}
        assert await stores.responses.find("b", "resp_1") is not None


@each_store
async def test_many_items_of_one_response_are_found(store: OpenFileStores, tmp_path: Path) -> None:
    ids = tuple(f"msg_{number}" for number in range(40))
    async with store(tmp_path) as stores:
        await stores.responses.add(replace(RECORD, item_ids=ids))

        assert await stores.responses.responses_of("a", ids) == dict.fromkeys(ids, "resp_1")


@each_store
async def test_a_long_body_is_a_file_until_it_is_deleted(store: OpenFileStores, tmp_path: Path) -> None:
    long = a_body(an_item("msg_1", "x" * MAX_INLINE_BYTES))
    async with store(tmp_path) as stores:
        kept = a_store(stores)
        assert await store_response(long, "resp_1", [], OWNER, kept)
        record = await stores.responses.find("a", "resp_1")
        assert record is not None
        assert (record.body, record.file_ids) == (b"", (record.body_file_id,))
        assert await load_response("resp_1", OWNER, kept, NOON) == long

        await delete_response("resp_1", OWNER, kept)

        assert await stores.files.list("a", FileQuery(10), NOON) == []
        assert await stores.blobs.get(original_blob(record.body_file_id or "")) is None


@each_store
async def test_what_expired_or_is_anothers_is_not_found(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        kept = a_store(stores)
        await store_response(a_body(an_item("msg_1")), "resp_1", [], OWNER, kept)
        later = NOON + timedelta(hours=1)

        for response_id, owner, at in (
            ("resp_1", OWNER, later),
            ("resp_1", Principal("b", zero_retention=False), NOON),
            ("resp_1", replace(OWNER, anonymous=True), NOON),
            ("r" * 201, OWNER, NOON),
        ):
            with pytest.raises(ResponseNotFound):
                await load_response(response_id, owner, kept, at)
        assert await load_items(["msg_1"], OWNER, kept, later) == {}
        assert await load_items(["msg_1"], OWNER, kept, NOON) == {"msg_1": an_item("msg_1")}


async def test_a_response_over_the_limit_is_not_stored(tmp_path: Path) -> None:
    async with on_this_machine(tmp_path) as stores:
        kept = a_store(stores)
        too_long = a_body(an_item("msg_1", "x" * MAX_RESPONSE_BYTES))

        assert not await store_response(too_long, "resp_1", [], OWNER, kept)
        assert not await store_response(a_body(), "", [], OWNER, kept)
        assert await stores.responses.find("a", "resp_1") is None


@dataclass
class CountingRecords:
    """Notes which responses are read."""

    records: ResponseRepository
    read: list[str] = field(default_factory=list)

    async def find(self, project: str, response_id: str) -> ResponseRecord | None:
        self.read.append(response_id)
        return await self.records.find(project, response_id)

    async def responses_of(self, project: str, item_ids: Sequence[str]) -> Mapping[str, str]:
        return await self.records.responses_of(project, item_ids)

    async def add(self, record: ResponseRecord) -> None:
        await self.records.add(record)

    async def delete(self, record: ResponseRecord) -> None:
        await self.records.delete(record)


async def test_items_of_turns_before_are_read_from_the_last_one(tmp_path: Path) -> None:
    first, second = an_item("msg_1"), an_item("msg_2")
    async with on_this_machine(tmp_path) as stores:
        kept = a_store(stores)
        await store_response(a_body(first), "resp_1", [], OWNER, kept)
        await store_response(a_body(second, of=(first, an_item("own"))), "resp_2", [], OWNER, kept)
        records = CountingRecords(stores.responses)
        items = await load_items(["msg_1", "msg_2", "own"], OWNER, replace(kept, records=records), NOON)

    assert items == {"msg_1": first, "msg_2": second}
    assert records.read == ["resp_2"]
