"""Counters in DynamoDB: one item for each subject and window."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from obscura.auth.base import Counter, Window
from obscura.errors import StoreUnavailable
from obscura.stores.dynamodb.database import (
    Client,
    DynamoDb,
    ExpectedError,
    expect_error,
    from_item,
    read_item,
    to_item,
)
from obscura.stores.dynamodb.tables import EXPIRES_AT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

MAX_CONFLICT_ATTEMPTS = 8
FIRST_CONFLICT_PAUSE_S = 0.01
MAX_PAUSE_S = 0.3

_CONDITION_FAILED = "ConditionalCheckFailed"
_CONFLICT = "TransactionConflict"
_COUNT_ONE = f"ADD taken :one SET {EXPIRES_AT} = :expires_at"


class DynamoRateCounter:
    """One unconditional ``ADD`` a request (ADR 20); requests past the limit are counted too, which changes nothing."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("rates")

    async def increment(self, subject: str, window: Window) -> int:
        """Count one request."""
        return await self._database.call_once(lambda client: self._increment(client, subject, window))

    def _increment(self, client: Client, subject: str, window: Window) -> int:
        response = client.update_item(
            TableName=self._table,
            Key=to_item(_key(subject, window)),
            UpdateExpression=_COUNT_ONE,
            ExpressionAttributeValues=to_item({":one": 1, ":expires_at": window.kept_until_s}),
            ReturnValues="UPDATED_NEW",
        )
        return int(from_item(response["Attributes"])["taken"])


class DynamoQuotaStore:
    """Quotas, reserved exactly once: only a transaction that conflicted with another is repeated."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("rates")

    async def reserve(self, counters: Sequence[Counter]) -> int | None:
        """Count one request in all counters or in none; a transaction does not report how many it left."""
        if len(counters) == 1:
            return await self._database.call_once(lambda client: self._reserve_one(client, counters[0]))
        reserved = await self._update_all_or_none(self._reservation, counters)
        return counters[0].limit - 1 if reserved else None

    async def release(self, counters: Sequence[Counter]) -> None:
        """Take one request off all counters."""
        if len(counters) == 1:
            await self._database.call_once(lambda client: _update(client, self._release(counters[0])))
        else:
            await self._update_all_or_none(self._release, counters)

    async def used(self, counters: Sequence[Counter]) -> list[int]:
        """Return the count of each."""
        return [await self._used(counter) for counter in counters]

    async def reset(self, counters: Sequence[Counter]) -> None:
        """Set each to zero."""
        for counter in counters:
            await self._reset(counter)

    def _reserve_one(self, client: Client, counter: Counter) -> int | None:
        left: int | None = None
        with expect_error("ConditionalCheckFailedException"):
            response = client.update_item(**self._reservation(counter), ReturnValues="UPDATED_NEW")
            left = counter.limit - int(from_item(response["Attributes"])["taken"])
        return left

    async def _update_all_or_none(
        self, update: "Callable[[Counter], UpdateTypeDef]", counters: Sequence[Counter]
    ) -> bool:
        """Return whether all were updated; a transaction that conflicted with another one is repeated."""
        for attempt in range(MAX_CONFLICT_ATTEMPTS):
            if attempt:
                max_pause_s = min(MAX_PAUSE_S, FIRST_CONFLICT_PAUSE_S * 2**attempt)
                await asyncio.sleep(random.uniform(0, max_pause_s))  # noqa: S311 jitter is no secret
            error = await self._database.call_once(lambda client: _transact(client, map(update, counters)))
            if not error.occurred:
                return True
            if _CONDITION_FAILED in error.reasons:
                return False
            if _CONFLICT not in error.reasons:
                break
        raise StoreUnavailable("Obscura's store is too busy. Try again in a moment.", retry_after_s=1)

    def _reservation(self, counter: Counter) -> "UpdateTypeDef":
        values = {":one": 1, ":limit": counter.limit, ":expires_at": counter.window.kept_until_s}
        return {
            "TableName": self._table,
            "Key": to_item(_key(counter.subject, counter.window)),
            "UpdateExpression": _COUNT_ONE,
            "ConditionExpression": "attribute_not_exists(taken) OR taken < :limit",
            "ExpressionAttributeValues": to_item(values),
        }

    def _release(self, counter: Counter) -> "UpdateTypeDef":
        return {
            "TableName": self._table,
            "Key": to_item(_key(counter.subject, counter.window)),
            "UpdateExpression": "ADD taken :minus_one",
            "ConditionExpression": "taken > :zero",
            "ExpressionAttributeValues": to_item({":minus_one": -1, ":zero": 0}),
        }

    async def _used(self, counter: Counter) -> int:
        key = _key(counter.subject, counter.window)
        values = await self._database.call_idempotent(lambda client: read_item(client, self._table, key))
        return int(values["taken"]) if values else 0

    async def _reset(self, counter: Counter) -> None:
        key = _key(counter.subject, counter.window)
        await self._database.call_idempotent(lambda client: client.delete_item(TableName=self._table, Key=to_item(key)))


def _key(subject: str, window: Window) -> dict[str, str]:
    """Return a counter's key; the window is part of it, so that no clock of DynamoDB's decides when one ends."""
    return {"subject": f"{subject}@{window.begins_at_s}"}


def _update(client: Client, update: "UpdateTypeDef") -> None:
    with expect_error("ConditionalCheckFailedException"):
        client.update_item(**update)


def _transact(client: Client, updates: "Iterable[UpdateTypeDef]") -> ExpectedError:
    with expect_error("TransactionCanceledException") as error:
        client.transact_write_items(TransactItems=[{"Update": update} for update in updates])
    return error
