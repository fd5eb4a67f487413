"""What is known of stored files, in DynamoDB: an item each, whose sort key, the id, rises with time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from obscura.adapters.dynamodb.database import DynamoDb
from obscura.adapters.dynamodb.gathering import gathered
from obscura.adapters.dynamodb.partition import partition
from obscura.adapters.dynamodb.refusals import refused_with
from obscura.ports import FilePage, StoredFile

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryInputTypeDef

    type Item = dict[str, AttributeValueTypeDef]

_FIRST_ID, _LAST_ID = "file_", "file_~"
EXPIRED_AT_ONCE = 25


class DynamoFiles:
    """Files by project and id."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("files")

    async def add(self, file: StoredFile) -> None:
        """Take up a file; once more does no harm."""
        item: Item = {
            **_key(file.project, file.id),
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
        """Give a project's file, read consistently."""
        told = await self._database.repeatable(
            lambda client: client.get_item(TableName=self._table, Key=_key(project, file_id), ConsistentRead=True)
        )
        return _file(told["Item"]) if "Item" in told else None

    async def page(self, project: str, page: FilePage, at: datetime) -> Sequence[StoredFile]:
        """Give a project's live files: one query, and another for each megabyte of what is filtered out."""
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
        items = await self._database.repeatable(lambda client: gathered(client.query, query, wanted))
        return [file for file in map(_file, items) if file.id != page.after][: page.limit]

    async def expire(self, project: str, file_id: str, at: datetime) -> bool:
        """End a file's life."""
        with refused_with("ConditionalCheckFailedException") as refusal:
            await self._database.once(
                lambda client: client.update_item(
                    TableName=self._table,
                    Key=_key(project, file_id),
                    UpdateExpression="SET expires_at = :at",
                    ConditionExpression="expires_at > :at",
                    ExpressionAttributeValues={":at": _instant(at)},
                )
            )
        return not refusal.happened

    async def remove(self, project: str, file_id: str) -> None:
        """Forget a file."""
        key = _key(project, file_id)
        await self._database.repeatable(lambda client: client.delete_item(TableName=self._table, Key=key))

    async def expired(self, project: str, at: datetime) -> Sequence[StoredFile]:
        """Give those of the project's oldest files that are expired; what this misses, TTL takes."""
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
        items = await self._database.repeatable(lambda client: gathered(client.scan, only_files))
        return sorted(map(_file, items), key=lambda file: file.id)

    def _between(self, values: "Item") -> "QueryInputTypeDef":
        return {
            "TableName": self._table,
            "KeyConditionExpression": "#project = :project AND id BETWEEN :low AND :high",
            "ExpressionAttributeNames": {"#project": "project"},
            "ExpressionAttributeValues": values,
        }


def _bounds(project: str, low: str, high: str) -> "Item":
    return {":project": {"S": partition(project)}, ":low": {"S": low}, ":high": {"S": high}}


def _key(project: str, file_id: str) -> "Item":
    return {"project": {"S": partition(project)}, "id": {"S": file_id}}


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
