"""Metadata of stored files and of uploads, in DynamoDB: an item each, whose sort key, the id, rises with time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from obscura.files.base import MAX_PARTS, UNLIMITED, FileQuery, StorageLimits, StoredFile, Upload, UploadStatus
from obscura.stores.dynamodb.database import (
    Client,
    DynamoDb,
    expect_error,
    from_item,
    partition_key,
    read_item,
    read_pages,
    to_item,
)
from obscura.stores.dynamodb.storage import DynamoStorageUsage, counted

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef, UpdateTypeDef

_FIRST_FILE_ID, _LAST_FILE_ID = "file_", "file_~"
_FIRST_UPLOAD_ID, _LAST_UPLOAD_ID = "upload_", "upload_~"
MAX_EXPIRED_AT_ONCE = 25


class DynamoFileRepository:
    """Files by project and id."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("files")
        self._usage = DynamoStorageUsage(database)

    async def add(self, file: StoredFile, limits: StorageLimits = UNLIMITED) -> bool:
        """Put a file."""
        values = {
            **_key(file.project, file.id),
            "project_name": file.project,
            "filename": file.filename,
            "purpose": file.purpose,
            "media_type": file.media_type,
            "size_bytes": file.size_bytes,
            "created_at": _seconds(file.created_at),
            "expires_at": _seconds(file.expires_at),
        }
        return await self._usage.add(values, file.size_bytes, limits)

    async def has_space(self, project: str, size_bytes: int, limits: StorageLimits, at: datetime) -> bool:
        """Whether a project may add a file of this size now."""
        return await self._usage.has_space(project, size_bytes, limits, _seconds(at))

    async def find(self, project: str, file_id: str) -> StoredFile | None:
        """Return a project's file, read consistently."""
        key = _key(project, file_id)
        values = await self._database.call_idempotent(lambda client: read_item(client, self._table, key))
        return _file(values) if values else None

    async def expire(self, project: str, file_id: str, at: datetime) -> bool:
        """Expire a file."""

        def expire(client: Client) -> bool:
            with expect_error("ConditionalCheckFailedException") as error:
                client.update_item(
                    TableName=self._table,
                    Key=to_item(_key(project, file_id)),
                    UpdateExpression="SET expires_at = :at",
                    ConditionExpression="expires_at > :at",
                    ExpressionAttributeValues=to_item({":at": _seconds(at)}),
                )
            return not error.occurred

        return await self._database.call_once(expire)

    async def delete(self, project: str, file_id: str) -> None:
        """Delete a file's metadata."""
        await _delete(self._database, self._usage, project, file_id)

    async def expired(self, project: str, at: datetime) -> Sequence[StoredFile]:
        """Return the expired ones of the project's oldest files; DynamoDB's TTL deletes the others."""
        items = await _oldest(self._database, self._table, project, _FIRST_FILE_ID, _LAST_FILE_ID)
        return [file for file in map(_file, items) if file.expires_at <= at]

    async def list(self, project: str, query: FileQuery, at: datetime) -> Sequence[StoredFile]:
        """Return a project's live files: one query, and another for each megabyte of what is filtered out."""
        after = query.after
        low, high = (
            (_FIRST_FILE_ID, after or _LAST_FILE_ID) if query.newest_first else (after or _FIRST_FILE_ID, _LAST_FILE_ID)
        )
        filters = "expires_at > :at"
        values: dict[str, Any] = {":at": _seconds(at)}
        if query.purpose is not None:
            filters += " AND purpose = :purpose"
            values[":purpose"] = query.purpose

        def read(client: Client) -> Sequence[dict[str, Any]]:
            parameters: QueryInputTypeDef = {
                **_ids_between(self._table, project, low, high, values),
                "FilterExpression": filters,
                "ScanIndexForward": not query.newest_first,
            }
            # The bounds include ``after`` itself, so one more is read than is returned.
            return read_pages(client.query, parameters, query.limit + 1)

        items = await self._database.call_idempotent(read)
        return [file for file in map(_file, items) if file.id != after][: query.limit]

    async def list_all(self) -> Sequence[StoredFile]:
        """Scan for every file."""

        def scan(client: Client) -> Sequence[dict[str, Any]]:
            parameters = {
                "TableName": self._table,
                "FilterExpression": "begins_with(id, :first)",
                "ExpressionAttributeValues": to_item({":first": _FIRST_FILE_ID}),
            }
            return read_pages(client.scan, parameters)

        return sorted(map(_file, await self._database.call_idempotent(scan)), key=lambda file: file.id)


def _file(values: dict[str, Any]) -> StoredFile:
    return StoredFile(
        id=values["id"],
        project=values["project_name"],
        filename=values["filename"],
        purpose=values["purpose"],
        media_type=values["media_type"],
        size_bytes=int(values["size_bytes"]),
        created_at=_instant(values["created_at"]),
        expires_at=_instant(values["expires_at"]),
    )


_IS_PENDING = "#status = :pending AND expires_at > :at"
_IS_WITHIN_LIMITS = "received_bytes <= :max_received AND size(parts) < :max_parts"


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of a pending upload, in DynamoDB's expressions."""

    update: str
    values: dict[str, Any]
    condition: str = _IS_PENDING
    names: dict[str, str] = field(default_factory=dict)


class DynamoUploadRepository:
    """Uploads by project and id, in the table of files."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("files")
        self._usage = DynamoStorageUsage(database)

    async def add(self, upload: Upload, limits: StorageLimits = UNLIMITED) -> bool:
        """Put an upload."""
        values = {
            **_key(upload.project, upload.id),
            "project_name": upload.project,
            "filename": upload.filename,
            "purpose": upload.purpose,
            "declared_bytes": upload.declared_bytes,
            "lifetime_s": upload.ttl_s,
            "created_at": _seconds(upload.created_at),
            "expires_at": _seconds(upload.expires_at),
            "status": upload.status,
            "parts": {},
            "received_bytes": 0,
        }
        return await self._usage.add(values, upload.max_bytes, limits)

    async def find(self, project: str, upload_id: str) -> Upload | None:
        """Return a project's upload, read consistently."""
        key = _key(project, upload_id)
        values = await self._database.call_idempotent(lambda client: read_item(client, self._table, key))
        return _upload(values) if values else None

    async def add_part(self, upload: Upload, part_id: str, size_bytes: int, at: datetime) -> bool:
        """Add a part."""
        change = _Change(
            "SET parts.#part = :size ADD received_bytes :size",
            {":size": size_bytes, ":max_received": upload.max_bytes - size_bytes, ":max_parts": MAX_PARTS},
            condition=f"{_IS_PENDING} AND {_IS_WITHIN_LIMITS}",
            names={"#part": part_id},
        )

        def write(client: Client) -> bool:
            with expect_error("ConditionalCheckFailedException") as error:
                client.update_item(**self._update_pending(upload, at, change))
            return not error.occurred

        # Once: repeated after it was made, its condition would fail.
        return await self._database.call_once(write)

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """Finish a pending upload."""
        change = _Change("SET #status = :status, file_id = :file_id", {":status": status, ":file_id": file_id})
        return await self._usage.finish(
            upload.project, upload.max_bytes, lambda: self._update_pending(upload, at, change)
        )

    async def delete(self, project: str, upload_id: str) -> None:
        """Delete an upload's metadata."""
        await _delete(self._database, self._usage, project, upload_id)

    async def expired(self, project: str, at: datetime) -> Sequence[Upload]:
        """Return the expired ones of the project's oldest uploads; DynamoDB's TTL deletes the others."""
        items = await _oldest(self._database, self._table, project, _FIRST_UPLOAD_ID, _LAST_UPLOAD_ID)
        return [upload for upload in map(_upload, items) if upload.expires_at <= at]

    def _update_pending(self, upload: Upload, at: datetime, change: _Change) -> "UpdateTypeDef":
        return {
            "TableName": self._table,
            "Key": to_item(_key(upload.project, upload.id)),
            "UpdateExpression": change.update,
            "ConditionExpression": change.condition,
            "ExpressionAttributeNames": {"#status": "status", **change.names},
            "ExpressionAttributeValues": to_item({":pending": "pending", ":at": _seconds(at), **change.values}),
        }


def _upload(values: dict[str, Any]) -> Upload:
    return Upload(
        id=values["id"],
        project=values["project_name"],
        filename=values["filename"],
        purpose=values["purpose"],
        declared_bytes=int(values["declared_bytes"]),
        ttl_s=int(values["lifetime_s"]),
        created_at=_instant(values["created_at"]),
        expires_at=_instant(values["expires_at"]),
        status=values["status"],
        file_id=values.get("file_id"),
        parts={part_id: int(size_bytes) for part_id, size_bytes in values["parts"].items()},
    )


def _key(project: str, item_id: str) -> dict[str, str]:
    return {"project": partition_key(project), "id": item_id}


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def _instant(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _ids_between(table: str, project: str, low: str, high: str, values: dict[str, Any]) -> "QueryInputTypeDef":
    bounds = {":project": partition_key(project), ":low": low, ":high": high}
    return {
        "TableName": table,
        "KeyConditionExpression": "#project = :project AND id BETWEEN :low AND :high",
        "ExpressionAttributeNames": {"#project": "project"},
        "ExpressionAttributeValues": to_item(bounds | values),
    }


async def _oldest(database: DynamoDb, table: str, project: str, low: str, high: str) -> Sequence[dict[str, Any]]:
    def read(client: Client) -> Sequence[dict[str, Any]]:
        query = _ids_between(table, project, low, high, {})
        query["Limit"] = MAX_EXPIRED_AT_ONCE
        return [from_item(item) for item in client.query(**query)["Items"]]

    return await database.call_idempotent(read)


async def _delete(database: DynamoDb, usage: DynamoStorageUsage, project: str, item_id: str) -> None:
    """Delete an item, then count it no more; if the second fails, the count is too high until the next recount."""

    def delete(client: Client) -> dict[str, Any]:
        key = to_item(_key(project, item_id))
        return from_item(
            client.delete_item(TableName=database.table("files"), Key=key, ReturnValues="ALL_OLD").get("Attributes", {})
        )

    deleted = await database.call_idempotent(delete)
    if deleted and (counted_bytes := counted(deleted)):
        await usage.release_expired(project, counted_bytes, int(deleted["expires_at"]))
