"""What conflicts with other writers, and is tried again; batches that are read in part."""

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any

from obscura.errors import StoreUnavailable
from obscura.stores.dynamodb.counters import FIRST_CONFLICT_PAUSE_S, MAX_CONFLICT_ATTEMPTS, MAX_PAUSE_S
from obscura.stores.dynamodb.database import Client, DynamoDb, expect_error, from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

MAX_READ_KEYS = 100
"""DynamoDB API reference, BatchGetItem."""


async def read_all(database: DynamoDb, table: str, subjects: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the items of these subjects that exist, read consistently."""
    found: dict[str, dict[str, Any]] = {}
    for batch in batched(dict.fromkeys(subjects), MAX_READ_KEYS, strict=False):
        left: Sequence[str] = batch
        for attempt in range(MAX_CONFLICT_ATTEMPTS):
            await pause(attempt)
            items, left = await database.call_idempotent(partial(_read_batch, table, left))
            found |= {item["subject"]: item for item in items}
            if not left:
                break
        else:
            raise too_busy()
    return found


def _read_batch(table: str, subjects: Sequence[str], client: Client) -> tuple[list[dict[str, Any]], list[str]]:
    """Return items, and the subjects that were not read: a batch may be processed in part."""
    keys = [to_item({"subject": subject}) for subject in subjects]
    response = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    left = response["UnprocessedKeys"].get(table, {"Keys": []})["Keys"]
    return [from_item(item) for item in response["Responses"].get(table, [])], [
        from_item(key)["subject"] for key in left
    ]


def is_updated(client: Client, update: "UpdateTypeDef") -> bool:
    """Return whether the item met the condition of the update."""
    with expect_error("ConditionalCheckFailedException") as error:
        client.update_item(**update)
    return not error.occurred


async def pause(attempt: int) -> None:
    """Wait before another attempt, at random up to a time that doubles; not before the first."""
    if attempt:
        max_pause_s = min(MAX_PAUSE_S, FIRST_CONFLICT_PAUSE_S * 2**attempt)
        await asyncio.sleep(random.uniform(0, max_pause_s))  # noqa: S311 jitter is no secret


def too_busy() -> StoreUnavailable:
    """Return the error of a write that lost to others each time."""
    return StoreUnavailable("Obscura's store is too busy. Try again in a moment.", retry_after_s=1)
