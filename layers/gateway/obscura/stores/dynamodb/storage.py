"""What each project has stored, in DynamoDB: one item a project beside its files, changed with them (ADR 78).

The item's numbers are never below what the table's live items add up to, so the limits hold. They may be above: TTL
deletes items without a word. So they are counted afresh once a day, and before a project is refused.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from obscura.errors import StoreUnavailable
from obscura.files.base import StorageLimits, StorageUsage
from obscura.stores.dynamodb.database import (
    Client,
    DynamoDb,
    ExpectedError,
    expect_error,
    partition_key,
    read_item,
    read_pages,
    to_item,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, UpdateTypeDef

USAGE_ID = "usage"
"""The sort key of the item; the ids of files and uploads begin with their kind and an underscore."""

RECOUNT_AFTER_S = 24 * 3600
RECOUNT_FULL_AFTER_S = 60
MAX_ATTEMPTS = 8
FIRST_PAUSE_S, MAX_PAUSE_S = 0.01, 0.3

_HAS_SPACE = "stored_bytes <= :most_bytes AND stored_files < :max_files AND recounted_at > :a_day_ago"
_RECOUNT = """
SET stored_bytes = :bytes, stored_files = :files, recounted_at = :at, changes = if_not_exists(changes, :zero)
"""


class DynamoStorageUsage:
    """The item of each project, in the table of files."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("files")

    async def add(self, item: dict[str, Any], counted_bytes: int, limits: StorageLimits) -> bool:
        """Put a new item and count it, both or neither; False if its project would have more than ``limits``."""
        project, at_s = item["project_name"], item["created_at"]
        for _ in range(2):
            if not await self.has_space(project, counted_bytes, limits, at_s):
                return False
            error = await self._transact(lambda: self._add(item, counted_bytes, limits))
            if not error.occurred:
                return True
        return False

    async def has_space(self, project: str, counted_bytes: int, limits: StorageLimits, at_s: int) -> bool:
        """Whether a project may store so much more, counted afresh if it seems to be full."""
        values = await self._read(project)
        age_s = abs(at_s - int(values.get("recounted_at", 0)))
        if age_s >= RECOUNT_AFTER_S or (
            age_s > RECOUNT_FULL_AFTER_S and not limits.allow(_usage(values), counted_bytes)
        ):
            await self._recount(project, at_s)
            values = await self._read(project)
        return limits.allow(_usage(values), counted_bytes)

    async def finish(self, project: str, counted_bytes: int, update: "Callable[[], UpdateTypeDef]") -> bool:
        """Make a conditional update of an item that counts, and count it no more; False if the condition fails."""

        def items() -> "Sequence[TransactWriteItemTypeDef]":
            return [{"Update": update()}, {"Update": self._release(project, counted_bytes)}]

        return not (await self._transact(items)).occurred

    async def release_expired(self, project: str, counted_bytes: int, expires_at_s: int) -> None:
        """Count an expired item no more, after it was deleted; if it had expired before the last recount, it is out."""

        def release(client: Client) -> None:
            update = self._release(project, counted_bytes)
            values = {**update["ExpressionAttributeValues"], **to_item({":expires_at": expires_at_s})}
            with expect_error("ConditionalCheckFailedException"):
                client.update_item(
                    TableName=self._table,
                    Key=update["Key"],
                    UpdateExpression=update["UpdateExpression"],
                    ConditionExpression="recounted_at < :expires_at",
                    ExpressionAttributeValues=values,
                )

        await self._database.call_once(release)

    def _add(
        self, item: dict[str, Any], counted_bytes: int, limits: StorageLimits
    ) -> "Sequence[TransactWriteItemTypeDef]":
        values = {
            ":counted": counted_bytes,
            ":one": 1,
            ":most_bytes": limits.max_bytes - counted_bytes,
            ":max_files": limits.max_files,
            ":a_day_ago": item["created_at"] - RECOUNT_AFTER_S,
        }
        return [
            {
                "Update": {
                    "TableName": self._table,
                    "Key": to_item(_key(item["project_name"])),
                    "UpdateExpression": "ADD stored_bytes :counted, stored_files :one, changes :one",
                    "ConditionExpression": _HAS_SPACE,
                    "ExpressionAttributeValues": to_item(values),
                }
            },
            {"Put": {"TableName": self._table, "Item": to_item(item)}},
        ]

    def _release(self, project: str, counted_bytes: int) -> "UpdateTypeDef":
        return {
            "TableName": self._table,
            "Key": to_item(_key(project)),
            "UpdateExpression": "ADD stored_bytes :counted, stored_files :minus_one, changes :one",
            "ExpressionAttributeValues": to_item({":counted": -counted_bytes, ":minus_one": -1, ":one": 1}),
        }

    async def _read(self, project: str) -> dict[str, Any]:
        return await self._database.call_idempotent(lambda client: read_item(client, self._table, _key(project)) or {})

    async def _recount(self, project: str, at_s: int) -> None:
        """Count the live items; again if one was added or released meanwhile."""
        for attempt in range(MAX_ATTEMPTS):
            await _pause(attempt)
            if await self._database.call_once(lambda client: self._recount_once(client, project, at_s)):
                return
        raise _too_busy()

    def _recount_once(self, client: Client, project: str, at_s: int) -> bool:
        before = read_item(client, self._table, _key(project)) or {}
        changes = before.get("changes")
        if abs(at_s - int(before.get("recounted_at", 0))) <= RECOUNT_FULL_AFTER_S:
            return True  # by another request, meanwhile
        usage = StorageUsage()
        for item in read_pages(client.query, self._live_items(project, at_s)):
            if counted_bytes := counted(item):
                usage = StorageUsage(usage.stored_bytes + counted_bytes, usage.files + 1)
        values = {":bytes": usage.stored_bytes, ":files": usage.files, ":at": at_s, ":zero": 0}
        unchanged = "attribute_not_exists(changes)"
        if changes is not None:
            unchanged, values[":changes"] = "changes = :changes", int(changes)
        with expect_error("ConditionalCheckFailedException") as error:
            client.update_item(
                TableName=self._table,
                Key=to_item(_key(project)),
                UpdateExpression=_RECOUNT,
                ConditionExpression=unchanged,
                ExpressionAttributeValues=to_item(values),
            )
        return not error.occurred

    def _live_items(self, project: str, at_s: int) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "#project = :project",
            "FilterExpression": "expires_at > :at",
            "ProjectionExpression": "size_bytes, declared_bytes, #status",
            "ExpressionAttributeNames": {"#project": "project", "#status": "status"},
            "ExpressionAttributeValues": to_item({":project": partition_key(project), ":at": at_s}),
        }

    async def _transact(self, items: "Callable[[], Sequence[TransactWriteItemTypeDef]]") -> ExpectedError:
        """Write all items or none; again if another transaction conflicts.

        Raises StoreUnavailable. The token lets a call whose response was lost be repeated (DynamoDB API reference,
        TransactWriteItems, "ClientRequestToken").
        """
        for attempt in range(MAX_ATTEMPTS):
            await _pause(attempt)
            error = await self._database.call_idempotent(partial(_write, items, secrets.token_hex(16)))
            if not error.occurred or "ConditionalCheckFailed" in error.reasons:
                return error
            if "TransactionConflict" not in error.reasons:
                break
        raise _too_busy()


def counted(item: dict[str, Any]) -> int:
    """Return the bytes that a file, or a pending upload, counts with; 0 for any other item."""
    if "size_bytes" in item:
        return int(item["size_bytes"])
    return 2 * int(item["declared_bytes"]) if item.get("status") == "pending" else 0


def _usage(values: dict[str, Any]) -> StorageUsage:
    return StorageUsage(int(values.get("stored_bytes", 0)), int(values.get("stored_files", 0)))


def _key(project: str) -> dict[str, str]:
    return {"project": partition_key(project), "id": USAGE_ID}


def _write(items: "Callable[[], Sequence[TransactWriteItemTypeDef]]", token: str, client: Client) -> ExpectedError:
    with expect_error("TransactionCanceledException") as error:
        client.transact_write_items(TransactItems=items(), ClientRequestToken=token)
    return error


async def _pause(attempt: int) -> None:
    if attempt:
        max_pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**attempt)
        await asyncio.sleep(random.uniform(0, max_pause_s))  # noqa: S311 jitter is no secret


def _too_busy() -> StoreUnavailable:
    return StoreUnavailable("Obscura's store is too busy. Try again in a moment.", retry_after_s=1)
