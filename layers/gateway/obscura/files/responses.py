"""Stored responses: what is kept of one, and the operations on them (ADR 130)."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
from msgspec import Raw

from obscura.auth.access import Principal
from obscura.errors import FileNotFound, MissingCredentials, ObscuraError, ResponseNotFound, RetentionConflict
from obscura.files.base import StoredFile, new_id
from obscura.files.response_records import MAX_ID_CHARS, MAX_STORED_ITEMS, ResponseRecord, ResponseRepository
from obscura.files.service import (
    FileService,
    add_file,
    expire_and_delete,
    find_file,
    purge_expired,
    read_original,
    require_space,
)

MAX_INLINE_BYTES = 64 * 1024
"""Of a record in the table, whose items may have 400 KB (DynamoDB, "Service quotas"); a longer one is a stored file."""

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""Of the input and the answer together, without the images."""

BODY_TYPE = "application/json"


class StoredBody(msgspec.Struct):
    """What is kept: the items that the model was given, with images as files, and the response as it was answered."""

    input: list[Raw]
    response: dict[str, Raw]

    @property
    def output(self) -> list[Raw]:
        """The output items."""
        return _items.decode(self.response.get("output", b"[]"))


class _Ids(msgspec.Struct):
    id: str = ""


_bodies = msgspec.json.Decoder(StoredBody)
_items = msgspec.json.Decoder(list[Raw])
_ids = msgspec.json.Decoder(_Ids)


def item_id(item: Raw) -> str:
    """Return an item's id, empty without one."""
    try:
        return _ids.decode(item).id
    except msgspec.ValidationError:
        return ""


@dataclass(frozen=True, slots=True)
class ResponseStore:
    """What the operations need: the records, the files, and how long a response is kept, in seconds."""

    records: ResponseRepository
    files: FileService
    ttl_s: int


def require_own_responses(principal: Principal, param: str | None = None) -> None:
    """Raise MissingCredentials for an anonymous caller, RetentionConflict for a zero-retention request."""
    if principal.anonymous:
        raise MissingCredentials("Responses belong to a project. Send a key: 'Authorization: Bearer obs_…'.")
    if principal.zero_retention:
        raise RetentionConflict(
            "This is a zero-retention request: nothing of it is stored, and nothing stored is used. Send the whole "
            "conversation as 'input' with store: false, or use a key without zero retention.",
            param=param,
        )


def response_not_found(param: str | None = None) -> ResponseNotFound:
    """Return the one error for every response and item that a caller may not have."""
    return ResponseNotFound(
        "There is no stored response or item with this id in your project: it expired, was deleted, was not stored "
        "(store: false, or under /policy), or never existed. Send the whole conversation as 'input'.",
        param=param,
    )


async def find_record(response_id: str, principal: Principal, store: ResponseStore, at: datetime) -> ResponseRecord:
    """Return a project's record; raises ResponseNotFound for any other, and for an expired one."""
    record = None
    if len(response_id) <= MAX_ID_CHARS and not principal.anonymous:
        record = await store.records.find(principal.project, response_id)
    if record is None or record.expires_at <= at:
        raise response_not_found()
    return record


async def read_body(record: ResponseRecord, principal: Principal, store: ResponseStore, at: datetime) -> StoredBody:
    """Return what is kept of a response; raises ResponseNotFound if its file is gone, Overloaded."""
    body = record.body
    if record.body_file_id is not None:
        storage = store.files.storage
        try:
            body = await read_original(await find_file(record.body_file_id, principal, storage, at), storage)
        except FileNotFound:
            raise response_not_found() from None
    return _bodies.decode(body)


async def load_response(response_id: str, principal: Principal, store: ResponseStore, at: datetime) -> StoredBody:
    """Return what is kept of a project's response; raises ResponseNotFound."""
    return await read_body(await find_record(response_id, principal, store, at), principal, store, at)


async def load_items(
    item_ids: Sequence[str], principal: Principal, store: ResponseStore, at: datetime
) -> dict[str, Raw]:
    """Return those of the output items that are there, by id; one response is held at a time.

    The last is looked for first: its response was made from items of those before it, which need not be read then.
    """
    known = [one for one in dict.fromkeys(item_ids) if 0 < len(one) <= MAX_ID_CHARS]
    response_of = await store.records.responses_of(principal.project, known)
    items: dict[str, Raw] = {}
    for wanted in reversed(known):
        if wanted in items or wanted not in response_of:
            continue
        with suppress(ResponseNotFound):
            body = await load_response(response_of[wanted], principal, store, at)
            for item in (*body.output, *body.input):
                if (one := item_id(item)) in response_of:
                    items.setdefault(one, Raw(bytes(item)))
    return items


async def store_response(
    body: StoredBody, response_id: str, file_ids: Sequence[str], principal: Principal, store: ResponseStore
) -> bool:
    """Store a response; False if it is too long for it, or its id is none. Raises StorageFull, StoreUnavailable."""
    at = store.files.clock.now()
    encoded = msgspec.json.encode(body)
    if not 0 < len(response_id) <= MAX_ID_CHARS or len(encoded) > MAX_RESPONSE_BYTES:
        return False
    ids = [one for item in body.output if 0 < len(one := item_id(item)) <= MAX_ID_CHARS]
    record = ResponseRecord(
        principal.project,
        response_id,
        tuple(dict.fromkeys(ids))[:MAX_STORED_ITEMS],
        tuple(file_ids),
        at.replace(microsecond=0) + timedelta(seconds=store.ttl_s),
        body=encoded,
    )
    if len(encoded) <= MAX_INLINE_BYTES:
        await store.records.add(record)
        return True
    file_id = await _store_body(encoded, f"{response_id}.json", principal, store)
    try:
        await store.records.add(replace(record, body=b"", body_file_id=file_id, file_ids=(*record.file_ids, file_id)))
    except BaseException:
        await delete_files([file_id], principal, store)
        raise
    return True


async def delete_response(response_id: str, principal: Principal, store: ResponseStore) -> None:
    """Delete a response, and the files that were stored with it, irrevocably; raises ResponseNotFound."""
    record = await find_record(response_id, principal, store, store.files.clock.now())
    await store.records.delete(record)
    await delete_files(record.file_ids, principal, store)


async def delete_files(file_ids: Sequence[str], principal: Principal, store: ResponseStore) -> None:
    """Delete files of a project; one that cannot be deleted now expires."""
    at = store.files.clock.now()
    for file_id in file_ids:
        with suppress(ObscuraError):
            file = await find_file(file_id, principal, store.files.storage, at)
            await expire_and_delete(file, store.files.storage, at)


async def _store_body(body: bytes, filename: str, principal: Principal, store: ResponseStore) -> str:
    """Store the bytes of a long body as a file of the project, which counts for its limits; raises StorageFull."""
    storage, limits, at = store.files.storage, store.files.limits_of(principal), store.files.clock.now()
    await purge_expired(principal, storage, at)
    await require_space(principal.project, len(body), limits, storage, at)
    created_at = at.replace(microsecond=0)
    expires_at = created_at + timedelta(seconds=store.ttl_s)
    file = StoredFile(
        new_id("file", at), principal.project, filename, "user_data", BODY_TYPE, len(body), created_at, expires_at
    )
    await add_file(file, body, storage, limits)
    return file.id
