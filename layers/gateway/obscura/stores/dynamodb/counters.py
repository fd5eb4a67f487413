"""Rates in DynamoDB: one item for each subject and window, counted by one write."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from obscura.auth.base import Counter
from obscura.errors import UpstreamUnavailable
from obscura.stores.dynamodb.database import Client, DynamoDb, ExpectedError, expect_error
from obscura.stores.dynamodb.tables import EXPIRES_AT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

RETENTION_S = 3600
"""How long a counter stays behind its window, so that a place can still be given back."""


class DynamoRateCounter:
    """One unconditional ``ADD`` a request, made once: whoever comes too late is counted too, which changes nothing."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` has the table ``rates``."""
        self._database = database
        self._table = database.table("rates")

    async def count(self, counter: Counter) -> int:
        """Count one request."""
        return await self._database.once(lambda client: self._count(client, counter))

    def _count(self, client: Client, counter: Counter) -> int:
        told = client.update_item(
            TableName=self._table,
            Key=counter_key(counter),
            UpdateExpression=f"ADD taken :one SET {EXPIRES_AT} = :expires_at",
            ExpressionAttributeValues={":one": {"N": "1"}, ":expires_at": expiry(counter)},
            ReturnValues="UPDATED_NEW",
        )
        return int(told["Attributes"]["taken"]["N"])


def counter_key(counter: Counter) -> "dict[str, AttributeValueTypeDef]":
    """Return a counter's key: the window is part of it, so that no clock of DynamoDB's decides when one ends."""
    return {"subject": {"S": f"{counter.subject}@{counter.window.begins_at_s}"}}


def expiry(counter: Counter) -> "AttributeValueTypeDef":
    """Return when a counter may be deleted, in seconds since 1970."""
    return {"N": str(counter.window.ends_at_s + RETENTION_S)}


if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

CONFLICT_TRIES = 8
FIRST_CONFLICT_PAUSE_S = 0.01
MAX_PAUSE_S = 0.3

_CONDITION_FAILED = "ConditionalCheckFailed"
_CONFLICT = "TransactionConflict"


class DynamoQuotaStore:
    """Places, taken exactly once: no call is repeated but a transaction that another one kept from happening."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` has the table ``rates``."""
        self._database = database
        self._table = database.table("rates")

    async def take(self, counters: Sequence[Counter]) -> int | None:
        """Take a place in all counters or in none; a transaction does not tell how many it left."""
        if len(counters) == 1:
            return await self._database.once(lambda client: self._take_one(client, counters[0]))
        happened = await self._all_or_none([self._taking(counter) for counter in counters])
        return counters[0].limit - 1 if happened else None

    async def give_back(self, counters: Sequence[Counter]) -> None:
        """Return one place back."""
        updates = [self._giving_back(counter) for counter in counters]
        if len(updates) == 1:
            await self._database.once(lambda client: _update(client, updates[0]))
        else:
            await self._all_or_none(updates)

    async def taken(self, counters: Sequence[Counter]) -> list[int]:
        """Return how many places of each are taken."""
        return [await self._database.repeatable(self._reading(counter)) for counter in counters]

    async def forget(self, counters: Sequence[Counter]) -> None:
        """Make all places free."""
        for counter in counters:
            await self._database.repeatable(self._deleting(counter))

    def _take_one(self, client: Client, counter: Counter) -> int | None:
        left: int | None = None
        with expect_error("ConditionalCheckFailedException"):
            told = client.update_item(**self._taking(counter), ReturnValues="UPDATED_NEW")
            left = counter.limit - int(told["Attributes"]["taken"]["N"])
        return left

    async def _all_or_none(self, updates: "Sequence[UpdateTypeDef]") -> bool:
        """Whether all were made; transactions on the same items keep each other from happening, so those come again."""
        for tried in range(CONFLICT_TRIES):
            if tried:
                longest_s = min(MAX_PAUSE_S, FIRST_CONFLICT_PAUSE_S * 2**tried)
                await asyncio.sleep(random.uniform(0, longest_s))  # noqa: S311 jitter is no secret
            refusal = await self._database.once(lambda client: _transact(client, updates))
            if not refusal.happened:
                return True
            if _CONDITION_FAILED in refusal.reasons:
                return False
            if _CONFLICT not in refusal.reasons:
                break
        raise UpstreamUnavailable("Obscura's store is too busy. Try again in a moment.", retry_after_s=1)

    def _taking(self, counter: Counter) -> "UpdateTypeDef":
        return {
            "TableName": self._table,
            "Key": counter_key(counter),
            "UpdateExpression": f"ADD taken :one SET {EXPIRES_AT} = :expires_at",
            "ConditionExpression": "attribute_not_exists(taken) OR taken < :limit",
            "ExpressionAttributeValues": {
                ":one": {"N": "1"},
                ":limit": {"N": str(counter.limit)},
                ":expires_at": expiry(counter),
            },
        }

    def _giving_back(self, counter: Counter) -> "UpdateTypeDef":
        return {
            "TableName": self._table,
            "Key": counter_key(counter),
            "UpdateExpression": "ADD taken :less",
            "ConditionExpression": "taken > :none",
            "ExpressionAttributeValues": {":less": {"N": "-1"}, ":none": {"N": "0"}},
        }

    def _reading(self, counter: Counter) -> Callable[[Client], int]:
        def read(client: Client) -> int:
            told = client.get_item(TableName=self._table, Key=counter_key(counter), ConsistentRead=True)
            return int(told["Item"]["taken"]["N"]) if "Item" in told else 0

        return read

    def _deleting(self, counter: Counter) -> Callable[[Client], object]:
        return lambda client: client.delete_item(TableName=self._table, Key=counter_key(counter))


def _update(client: Client, update: "UpdateTypeDef") -> None:
    with expect_error("ConditionalCheckFailedException"):
        client.update_item(**update)


def _transact(client: Client, updates: "Sequence[UpdateTypeDef]") -> ExpectedError:
    with expect_error("TransactionCanceledException") as refusal:
        client.transact_write_items(TransactItems=[{"Update": update} for update in updates])
    return refusal


class DynamoVerdictCache:
    """An item for each clean image. A call that fails is not repeated: asking the moderator is as quick."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("verdicts")

    async def is_clean(self, digest: bytes, at: datetime) -> bool:
        """Whether a clean verdict is remembered."""
        told = await self._database.once(
            lambda client: client.get_item(TableName=self._table, Key={"id": {"S": digest.hex()}})
        )
        return "Item" in told and int(told["Item"]["expires_at"]["N"]) > at.timestamp()

    async def add_clean(self, digest: bytes, at: datetime, until: datetime) -> None:
        """Remember a clean verdict."""
        expires_at = str(int(until.timestamp()))
        await self._database.once(
            lambda client: client.put_item(
                TableName=self._table, Item={"id": {"S": digest.hex()}, "expires_at": {"N": expires_at}}
            )
        )
