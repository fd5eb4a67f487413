"""Uploads under way, in DynamoDB: one item each, so that one conditional write keeps its bounds."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from obscura.adapters.dynamodb.database import DynamoDb
from obscura.adapters.dynamodb.partition import partition
from obscura.adapters.dynamodb.refusals import refused_with
from obscura.ports import MOST_PARTS, Upload, UploadStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UpdateItemInputTypeDef

    type Item = dict[str, AttributeValueTypeDef]

_FIRST_ID, _LAST_ID = "upload_", "upload_~"
_IS_PENDING = "#status = :pending AND expires_at > :at"
EXPIRED_AT_ONCE = 25


class DynamoUploads:
    """Uploads by project and id, in the table of files."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("files")

    async def add(self, upload: Upload) -> None:
        """Take up an upload; once more, before its first part, does no harm."""
        item: Item = {
            **_key(upload),
            "project_name": {"S": upload.project},
            "filename": {"S": upload.filename},
            "purpose": {"S": upload.purpose},
            "declared_bytes": {"N": str(upload.declared_bytes)},
            "lifetime_s": {"N": str(upload.lifetime_s)},
            "created_at": _instant(upload.created_at),
            "expires_at": _instant(upload.expires_at),
            "status": {"S": upload.status},
            "parts": {"M": {}},
            "received_bytes": {"N": "0"},
        }
        await self._database.repeatable(lambda client: client.put_item(TableName=self._table, Item=item))

    async def find(self, project: str, upload_id: str) -> Upload | None:
        """Give a project's upload, read consistently."""
        key: Item = {"project": {"S": partition(project)}, "id": {"S": upload_id}}
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
                "Key": _key(upload),
                "UpdateExpression": "SET parts.#part = :size ADD received_bytes :size",
                "ConditionExpression": _IS_PENDING + room,
                "ExpressionAttributeNames": {"#status": "status", "#part": part_id},
                "ExpressionAttributeValues": {
                    ":pending": {"S": "pending"},
                    ":at": _instant(at),
                    ":size": {"N": str(size_bytes)},
                    ":room": {"N": str(upload.most_bytes - size_bytes)},
                    ":most_parts": {"N": str(MOST_PARTS)},
                },
            }
        )

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """End a pending upload."""
        values: Item = {":pending": {"S": "pending"}, ":at": _instant(at), ":status": {"S": status}}
        values[":file_id"] = {"S": file_id} if file_id else {"NULL": True}
        return await self._changed(
            {
                "TableName": self._table,
                "Key": _key(upload),
                "UpdateExpression": "SET #status = :status, file_id = :file_id",
                "ConditionExpression": _IS_PENDING,
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": values,
            }
        )

    async def remove(self, project: str, upload_id: str) -> None:
        """Forget an upload."""
        key: Item = {"project": {"S": partition(project)}, "id": {"S": upload_id}}
        await self._database.repeatable(lambda client: client.delete_item(TableName=self._table, Key=key))

    async def expired(self, project: str, at: datetime) -> Sequence[Upload]:
        """Give those of the project's oldest uploads that are expired; what this misses, TTL takes."""
        told = await self._database.repeatable(
            lambda client: client.query(
                TableName=self._table,
                KeyConditionExpression="#project = :project AND id BETWEEN :low AND :high",
                ExpressionAttributeNames={"#project": "project"},
                ExpressionAttributeValues={
                    ":project": {"S": partition(project)},
                    ":low": {"S": _FIRST_ID},
                    ":high": {"S": _LAST_ID},
                },
                Limit=EXPIRED_AT_ONCE,
            )
        )
        return [upload for upload in map(_upload, told["Items"]) if upload.expires_at <= at]

    async def _changed(self, change: "UpdateItemInputTypeDef") -> bool:
        """Make a conditional write, once: made again after it had counted, its condition would fail."""
        with refused_with("ConditionalCheckFailedException") as refusal:
            await self._database.once(lambda client: client.update_item(**change))
        return not refusal.happened


def _key(upload: Upload) -> "Item":
    return {"project": {"S": partition(upload.project)}, "id": {"S": upload.id}}


def _instant(instant: datetime) -> "AttributeValueTypeDef":
    return {"N": str(int(instant.timestamp()))}


def _upload(item: "Item") -> Upload:
    return Upload(
        id=item["id"]["S"],
        project=item["project_name"]["S"],
        filename=item["filename"]["S"],
        purpose=item["purpose"]["S"],
        declared_bytes=int(item["declared_bytes"]["N"]),
        lifetime_s=int(item["lifetime_s"]["N"]),
        created_at=datetime.fromtimestamp(int(item["created_at"]["N"]), UTC),
        expires_at=datetime.fromtimestamp(int(item["expires_at"]["N"]), UTC),
        status=cast("UploadStatus", item["status"]["S"]),
        file_id=item.get("file_id", {}).get("S"),
        parts={part_id: int(size["N"]) for part_id, size in item["parts"]["M"].items()},
    )
