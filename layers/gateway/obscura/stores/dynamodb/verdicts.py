"""Clean verdicts in DynamoDB: one item for each image or text, read and written in batches."""

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Any

from obscura.errors import StoreUnavailable
from obscura.execution import gather_or_raise_first
from obscura.stores.dynamodb.database import FIRST_PAUSE_S, Client, DynamoDb, from_item, to_item
from obscura.stores.dynamodb.tables import EXPIRES_AT

MAX_READ_KEYS = 100
"""DynamoDB API reference, BatchGetItem."""

MAX_WRITE_ITEMS = 25
"""DynamoDB API reference, BatchWriteItem."""

MAX_DELETE_ATTEMPTS = 8

MAX_BATCH_ATTEMPTS = 3
"""A batch whose table is too busy is processed in part; what is left after these attempts is given up."""


class DynamoVerdictCache:
    """An item for each digest. A call that fails is not repeated: moderation is as quick."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("verdicts")

    async def clean_among(self, digests: Collection[bytes], at: datetime) -> set[bytes]:
        """Return those with a valid verdict; eventually consistent, at half the price."""
        ids = sorted({digest.hex() for digest in digests})  # a key that is named twice is rejected
        read = await gather_or_raise_first([self._read(batch) for batch in batched(ids, MAX_READ_KEYS, strict=False)])
        at_s = at.timestamp()
        return {bytes.fromhex(item["id"]) for batch in read for item in batch if int(item[EXPIRES_AT]) > at_s}

    async def add_clean_all(self, digests: Collection[bytes], at: datetime, until: datetime) -> None:
        """Store clean verdicts; DynamoDB itself deletes expired ones."""
        ids = sorted({digest.hex() for digest in digests})
        expires_at_s = int(until.timestamp())
        await gather_or_raise_first(
            [self._write(batch, expires_at_s) for batch in batched(ids, MAX_WRITE_ITEMS, strict=False)]
        )

    async def clear(self) -> int:
        """Scan the table, and delete its items in batches until none is left of those that the scan found."""
        deleted = 0
        start: Mapping[str, Any] | None = None
        while True:
            scan = partial(_scan, table=self._table, start=start)
            ids, start = await self._database.call_idempotent(scan)
            for batch in batched(ids, MAX_WRITE_ITEMS, strict=False):
                left: Mapping[str, Any] = {self._table: [{"DeleteRequest": {"Key": {"id": {"S": i}}}} for i in batch]}
                for attempt in range(MAX_DELETE_ATTEMPTS):
                    await _pause(attempt)
                    left = await self._database.call_idempotent(partial(_write_batch, items=left))
                    if not left:
                        break
                else:
                    raise StoreUnavailable("The table of verdicts is too busy. Run the command again.", retry_after_s=9)
                deleted += len(batch)
            if start is None:
                return deleted

    async def _read(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        left: Mapping[str, Any] = {}
        for attempt in range(MAX_BATCH_ATTEMPTS):
            await _pause(attempt)
            found, left = await self._database.call_once(partial(_get, table=self._table, ids=ids, left=left))
            items += found
            if not left:
                break
        return items

    async def _write(self, ids: Sequence[str], expires_at_s: int) -> None:
        left: Mapping[str, Any] = {}
        for attempt in range(MAX_BATCH_ATTEMPTS):
            await _pause(attempt)
            put = partial(_put, table=self._table, ids=ids, expires_at_s=expires_at_s, left=left)
            left = await self._database.call_once(put)
            if not left:
                break


def _get(
    client: Client, *, table: str, ids: Sequence[str], left: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
    """Return the items that were read and the keys that were not; read those of ``left``, if there are any."""
    keys = [to_item({"id": name}) for name in ids]
    response = client.batch_get_item(RequestItems=left or {table: {"Keys": keys, "ConsistentRead": False}})
    return [from_item(item) for item in response["Responses"].get(table, [])], response["UnprocessedKeys"]


def _put(
    client: Client, *, table: str, ids: Sequence[str], expires_at_s: int, left: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the items that were not written; write those of ``left``, if there are any."""
    items = [to_item({"id": name, EXPIRES_AT: expires_at_s}) for name in ids]
    puts = left or {table: [{"PutRequest": {"Item": item}} for item in items]}
    return client.batch_write_item(RequestItems=puts)["UnprocessedItems"]


def _scan(client: Client, *, table: str, start: Mapping[str, Any] | None) -> tuple[list[str], Mapping[str, Any] | None]:
    """Return the ids of one page, and where the next one begins, None if there is none."""
    more: dict[str, Any] = {"ExclusiveStartKey": start} if start else {}
    page = client.scan(TableName=table, ProjectionExpression="id", ConsistentRead=True, **more)
    return [from_item(item)["id"] for item in page["Items"]], page.get("LastEvaluatedKey")


def _write_batch(client: Client, *, items: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the items that were not written or deleted."""
    return client.batch_write_item(RequestItems=items)["UnprocessedItems"]


async def _pause(attempt: int) -> None:
    if attempt:
        await asyncio.sleep(random.uniform(0, FIRST_PAUSE_S * 2**attempt))  # noqa: S311 jitter is no secret
