"""Counters in DynamoDB: one item for each subject and window."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from obscura.auth.base import Counter, Paused, Window
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
from obscura.stores.dynamodb.transactions import update_all_or_none

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

MAX_CONFLICT_ATTEMPTS = 8
FIRST_CONFLICT_PAUSE_S = 0.01
MAX_PAUSE_S = 0.3

_CONDITION_FAILED = "ConditionalCheckFailed"
_CONFLICT = "TransactionConflict"
_COUNT_ONE = f"ADD taken :one SET {EXPIRES_AT} = :expires_at"


class DynamoRateCounter:
    """One unconditional ``ADD`` a request (ADR 20); requests past the limit are counted too, which changes nothing.

    One whose connection is lost is sent again, and may count twice (ADR 141).
    """

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("rates")

    async def increment(self, subject: str, window: Window) -> int:
        """Count one request."""
        return await self._database.call_counting(lambda client: self._increment(client, subject, window))

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
    """Quotas, reserved exactly once: by transactions with request tokens, which may be sent again (ADR 141)."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("rates")

    async def reserve(self, counters: Sequence[Counter], at_s: int | None = None) -> int | None:
        """Count one request in all counters or in none."""
        reserved = await self._update_all_or_none(lambda: [self._reservation(each, at_s) for each in counters], at_s)
        return await self._left(counters[0]) if reserved else None

    async def release(self, counters: Sequence[Counter], refunds: Sequence[Counter] = ()) -> bool:
        """Take one request off all counters, and count one in all refunds, or do neither."""
        if any(refund.limit < 1 for refund in refunds):
            return False
        return await self._update_all_or_none(lambda: [*map(self._reservation, refunds), *map(self._release, counters)])

    async def reserve_shared(self, counter: Counter) -> int | None:
        """Count one request by one conditional write: transactions on one item would conflict (ADR 150)."""
        taken = await self._database.call_counting(lambda client: self._reserve_shared(client, counter))
        return None if taken is None else counter.limit - taken

    async def release_shared(self, counter: Counter) -> None:
        """Take one request off, by one write; it is never sent again, since two would let one request too many pass."""
        await self._database.call_once(lambda client: _update(client, self._release(counter)))

    async def pause(self, counter: Counter, until_s: int) -> None:
        """Let no request of a counter be reserved before ``until_s``: an attribute of its own item."""
        await self._database.call_idempotent(lambda client: _update(client, self._pause(counter, until_s)))

    async def used(self, counters: Sequence[Counter]) -> list[int]:
        """Return the count of each."""
        return [await self._used(counter) for counter in counters]

    async def reset(self, counters: Sequence[Counter]) -> None:
        """Set each to zero."""
        for counter in counters:
            await self._reset(counter)

    async def _left(self, counter: Counter) -> int:
        """Return how many a reserved request left: a transaction does not report it, so that it is read after it."""
        if counter.limit == 1:
            return 0
        try:
            return max(0, counter.limit - max(1, await self._used(counter)))
        except StoreUnavailable:
            return counter.limit - 1  # the request is reserved: what cannot be read is the most that can be left

    async def _update_all_or_none(
        self, updates: "Callable[[], Sequence[UpdateTypeDef]]", at_s: int | None = None
    ) -> bool:
        """Return whether all were updated; a transaction that conflicted with another one is repeated."""
        for attempt in range(MAX_CONFLICT_ATTEMPTS):
            if attempt:
                max_pause_s = min(MAX_PAUSE_S, FIRST_CONFLICT_PAUSE_S * 2**attempt)
                await asyncio.sleep(random.uniform(0, max_pause_s))  # noqa: S311 jitter is no secret
            error = await update_all_or_none(self._database, updates)
            if not error.occurred:
                return True
            if _CONDITION_FAILED in error.reasons:
                _raise_if_paused(error, at_s)
                return False
            if _CONFLICT not in error.reasons:
                break
        raise StoreUnavailable("Obscura's store is too busy. Try again in a moment.", retry_after_s=1)

    def _reservation(self, counter: Counter, at_s: int | None = None) -> "UpdateTypeDef":
        values = {":one": 1, ":limit": counter.limit, ":expires_at": counter.window.kept_until_s}
        below_limit = "(attribute_not_exists(taken) OR taken < :limit)"
        if at_s is None:
            return self._update(counter, _COUNT_ONE, below_limit, values)
        not_paused = "(attribute_not_exists(paused_until) OR paused_until <= :now)"
        update = self._update(counter, _COUNT_ONE, f"{below_limit} AND {not_paused}", values | {":now": at_s})
        return {**update, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

    def _reserve_shared(self, client: Client, counter: Counter) -> int | None:
        taken: int | None = None
        with expect_error("ConditionalCheckFailedException"):
            response = client.update_item(**self._reservation(counter), ReturnValues="UPDATED_NEW")
            taken = int(from_item(response["Attributes"])["taken"])
        return taken

    def _release(self, counter: Counter) -> "UpdateTypeDef":
        return self._update(counter, "ADD taken :minus_one", "taken > :zero", {":minus_one": -1, ":zero": 0})

    def _pause(self, counter: Counter, until_s: int) -> "UpdateTypeDef":
        change = f"SET paused_until = :until, {EXPIRES_AT} = :expires_at"
        not_longer = "attribute_not_exists(paused_until) OR paused_until < :until"
        return self._update(
            counter, change, not_longer, {":until": until_s, ":expires_at": counter.window.kept_until_s}
        )

    def _update(self, counter: Counter, change: str, condition: str, values: Mapping[str, int]) -> "UpdateTypeDef":
        return {
            "TableName": self._table,
            "Key": to_item(_key(counter.subject, counter.window)),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": to_item(values),
        }

    async def _used(self, counter: Counter) -> int:
        key = _key(counter.subject, counter.window)
        values = await self._database.call_idempotent(lambda client: read_item(client, self._table, key))
        return int(values.get("taken", 0)) if values else 0  # a counter may be paused before it counts

    async def _reset(self, counter: Counter) -> None:
        key = _key(counter.subject, counter.window)
        await self._database.call_idempotent(lambda client: client.delete_item(TableName=self._table, Key=to_item(key)))


def _key(subject: str, window: Window) -> dict[str, str]:
    """Return a counter's key; the window is part of it, so that no clock of DynamoDB's decides when one ends."""
    return {"subject": f"{subject}@{window.begins_at_s}"}


def _update(client: Client, update: "UpdateTypeDef") -> bool:
    """Return whether the item met the condition, and was updated."""
    with expect_error("ConditionalCheckFailedException") as error:
        client.update_item(**update)
    return not error.occurred


def _raise_if_paused(error: ExpectedError, at_s: int | None) -> None:
    """Raise Paused if one of the items that did not meet their conditions is paused beyond ``at_s``."""
    until_s = max((int(item.get("paused_until", 0)) for item in error.items), default=0)
    if at_s is not None and until_s > at_s:
        raise Paused(until_s)
