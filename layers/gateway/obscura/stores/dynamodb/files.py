"""What is known of stored files, in DynamoDB: an item each, whose sort key, the id, rises with time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from obscura.files.base import MAX_PARTS, FileQuery, StoredFile, Upload, UploadStatus
from obscura.stores.dynamodb.database import DynamoDb, expect_error, partition_key, read_pages

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryInputTypeDef, UpdateItemInputTypeDef

    type Item = dict[str, AttributeValueTypeDef]

_FIRST_ID, _LAST_ID = "file_", "file_~"
EXPIRED_AT_ONCE = 25


class DynamoFileRepository:
    """Files by project and id."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("files")

    async def add(self, file: StoredFile) -> None:
        """Take up a file; once more does no harm."""
        item: Item = {
            **_file_key(file.project, file.id),
            "project_name": {"S": file.project},
            "filename": {"S": file.filename},
            "purpose": {"S": file.purpose},
            "media_type": {"S": file.media_type},
            "size_bytes": {"N": str(file.size_bytes)},
            "created_at": _instant(file.created_at),
            "expires_at": _instant(file.expires_at),
        }
        await self._database.repeatable(lambda client: client.put_item(TableName=self._table, Item=item))

    async def find(self, project: str, file_id: str) -> StoredFile | None:
        """Return a project's file, read consistently."""
        told = await self._database.repeatable(
            lambda client: client.get_item(TableName=self._table, Key=_file_key(project, file_id), ConsistentRead=True)
        )
        return _file(told["Item"]) if "Item" in told else None

    async def page(self, project: str, page: FileQuery, at: datetime) -> Sequence[StoredFile]:
        """Return a project's live files: one query, and another for each megabyte of what is filtered out."""
        low, high = (_FIRST_ID, page.after or _LAST_ID) if page.newest_first else (page.after or _FIRST_ID, _LAST_ID)
        values: Item = {**_bounds(project, low, high), ":at": _instant(at)}
        living = "expires_at > :at"
        if page.purpose is not None:
            living += " AND purpose = :purpose"
            values[":purpose"] = {"S": page.purpose}
        query: QueryInputTypeDef = {
            **self._between(values),
            "FilterExpression": living,
            "ScanIndexForward": not page.newest_first,
        }
        wanted = page.limit + 1
        items = await self._database.repeatable(lambda client: read_pages(client.query, query, wanted))
        return [file for file in map(_file, items) if file.id != page.after][: page.limit]

    async def expire(self, project: str, file_id: str, at: datetime) -> bool:
        """End a file's life."""
        with expect_error("ConditionalCheckFailedException") as refusal:
            await self._database.once(
                lambda client: client.update_item(
                    TableName=self._table,
                    Key=_file_key(project, file_id),
                    UpdateExpression="SET expires_at = :at",
                    ConditionExpression="expires_at > :at",
                    ExpressionAttributeValues={":at": _instant(at)},
                )
            )
        return not refusal.happened

    async def remove(self, project: str, file_id: str) -> None:
        """Forget a file."""
        key = _file_key(project, file_id)
        await self._database.repeatable(lambda client: client.delete_item(TableName=self._table, Key=key))

    async def expired(self, project: str, at: datetime) -> Sequence[StoredFile]:
        """Return those of the project's oldest files that are expired; what this misses, TTL takes."""
        query: QueryInputTypeDef = {
            **self._between(_bounds(project, _FIRST_ID, _LAST_ID)),
            "Limit": EXPIRED_AT_ONCE,
        }
        told = await self._database.repeatable(lambda client: client.query(**query))
        return [file for file in map(_file, told["Items"]) if file.expires_at <= at]

    async def everywhere(self) -> Sequence[StoredFile]:
        """Scan for every file."""
        only_files: QueryInputTypeDef = {
            "TableName": self._table,
            "FilterExpression": "begins_with(id, :first)",
            "ExpressionAttributeValues": {":first": {"S": _FIRST_ID}},
        }
        items = await self._database.repeatable(lambda client: read_pages(client.scan, only_files))
        return sorted(map(_file, items), key=lambda file: file.id)

    def _between(self, values: "Item") -> "QueryInputTypeDef":
        return {
            "TableName": self._table,
            "KeyConditionExpression": "#project = :project AND id BETWEEN :low AND :high",
            "ExpressionAttributeNames": {"#project": "project"},
            "ExpressionAttributeValues": values,
        }


def _bounds(project: str, low: str, high: str) -> "Item":
    return {":project": {"S": partition_key(project)}, ":low": {"S": low}, ":high": {"S": high}}


def _file_key(project: str, file_id: str) -> "Item":
    return {"project": {"S": partition_key(project)}, "id": {"S": file_id}}


def _instant(instant: datetime) -> "AttributeValueTypeDef":
    return {"N": str(int(instant.timestamp()))}


def _file(item: "Item") -> StoredFile:
    return StoredFile(
        id=item["id"]["S"],
        project=item["project_name"]["S"],
        filename=item["filename"]["S"],
        purpose=item["purpose"]["S"],
        media_type=item["media_type"]["S"],
        size_bytes=int(item["size_bytes"]["N"]),
        created_at=datetime.fromtimestamp(int(item["created_at"]["N"]), UTC),
        expires_at=datetime.fromtimestamp(int(item["expires_at"]["N"]), UTC),
    )


_FIRST_UPLOAD_ID, _LAST_UPLOAD_ID = "upload_", "upload_~"
_IS_PENDING = "#status = :pending AND expires_at > :at"
EXPIRED_UPLOADS_AT_ONCE = 25


class DynamoUploadRepository:
    """Uploads by project and id, in the table of files."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("files")

    async def add(self, upload: Upload) -> None:
        """Take up an upload; once more, before its first part, does no harm."""
        item: Item = {
            **_upload_key(upload),
            "project_name": {"S": upload.project},
            "filename": {"S": upload.filename},
            "purpose": {"S": upload.purpose},
            "declared_bytes": {"N": str(upload.declared_bytes)},
            "ttl_s": {"N": str(upload.ttl_s)},
            "created_at": _upload_instant(upload.created_at),
            "expires_at": _upload_instant(upload.expires_at),
            "status": {"S": upload.status},
            "parts": {"M": {}},
            "received_bytes": {"N": "0"},
        }
        await self._database.repeatable(lambda client: client.put_item(TableName=self._table, Item=item))

    async def find(self, project: str, upload_id: str) -> Upload | None:
        """Return a project's upload, read consistently."""
        key: Item = {"project": {"S": partition_key(project)}, "id": {"S": upload_id}}
        told = await self._database.repeatable(
            lambda client: client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        )
        return _upload(told["Item"]) if "Item" in told else None

    async def add_part(self, upload: Upload, part_id: str, size_bytes: int, at: datetime) -> bool:
        """Add a part."""
        room = " AND received_bytes <= :room AND size(parts) < :most_parts"
        return await self._changed(
            {
                "TableName": self._table,
                "Key": _upload_key(upload),
                "UpdateExpression": "SET parts.#part = :size ADD received_bytes :size",
                "ConditionExpression": _IS_PENDING + room,
                "ExpressionAttributeNames": {"#status": "status", "#part": part_id},
                "ExpressionAttributeValues": {
                    ":pending": {"S": "pending"},
                    ":at": _upload_instant(at),
                    ":size": {"N": str(size_bytes)},
                    ":room": {"N": str(upload.max_bytes - size_bytes)},
                    ":most_parts": {"N": str(MAX_PARTS)},
                },
            }
        )

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """End a pending upload."""
        values: Item = {":pending": {"S": "pending"}, ":at": _upload_instant(at), ":status": {"S": status}}
        values[":file_id"] = {"S": file_id} if file_id else {"NULL": True}
        return await self._changed(
            {
                "TableName": self._table,
                "Key": _upload_key(upload),
                "UpdateExpression": "SET #status = :status, file_id = :file_id",
                "ConditionExpression": _IS_PENDING,
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": values,
            }
        )

    async def remove(self, project: str, upload_id: str) -> None:
        """Forget an upload."""
        key: Item = {"project": {"S": partition_key(project)}, "id": {"S": upload_id}}
        await self._database.repeatable(lambda client: client.delete_item(TableName=self._table, Key=key))

    async def expired(self, project: str, at: datetime) -> Sequence[Upload]:
        """Return those of the project's oldest uploads that are expired; what this misses, TTL takes."""
        told = await self._database.repeatable(
            lambda client: client.query(
                TableName=self._table,
                KeyConditionExpression="#project = :project AND id BETWEEN :low AND :high",
                ExpressionAttributeNames={"#project": "project"},
                ExpressionAttributeValues={
                    ":project": {"S": partition_key(project)},
                    ":low": {"S": _FIRST_UPLOAD_ID},
                    ":high": {"S": _LAST_UPLOAD_ID},
                },
                Limit=EXPIRED_UPLOADS_AT_ONCE,
            )
        )
        return [upload for upload in map(_upload, told["Items"]) if upload.expires_at <= at]

    async def _changed(self, change: "UpdateItemInputTypeDef") -> bool:
        """Make a conditional write, once: made again after it had counted, its condition would fail."""
        with expect_error("ConditionalCheckFailedException") as refusal:
            await self._database.once(lambda client: client.update_item(**change))
        return not refusal.happened


def _upload_key(upload: Upload) -> "Item":
    return {"project": {"S": partition_key(upload.project)}, "id": {"S": upload.id}}


def _upload_instant(instant: datetime) -> "AttributeValueTypeDef":
    return {"N": str(int(instant.timestamp()))}


def _upload(item: "Item") -> Upload:
    return Upload(
        id=item["id"]["S"],
        project=item["project_name"]["S"],
        filename=item["filename"]["S"],
        purpose=item["purpose"]["S"],
        declared_bytes=int(item["declared_bytes"]["N"]),
        ttl_s=int(item["ttl_s"]["N"]),
        created_at=datetime.fromtimestamp(int(item["created_at"]["N"]), UTC),
        expires_at=datetime.fromtimestamp(int(item["expires_at"]["N"]), UTC),
        status=cast("UploadStatus", item["status"]["S"]),
        file_id=item.get("file_id", {}).get("S"),
        parts={part_id: int(size["N"]) for part_id, size in item["parts"]["M"].items()},
    )
