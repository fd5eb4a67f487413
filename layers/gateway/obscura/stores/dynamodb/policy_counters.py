"""Counters of policies in DynamoDB, in the table of request counters."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from obscura.auth.base import MIN_KEPT_S
from obscura.execution import gather_or_raise_first
from obscura.policy.rollout import RolloutCount
from obscura.stores.dynamodb.conflicts import is_updated, pause, read_all, too_busy
from obscura.stores.dynamodb.counters import MAX_CONFLICT_ATTEMPTS
from obscura.stores.dynamodb.database import (
    Client,
    DynamoDb,
    expect_error,
    read_item,
    to_item,
)
from obscura.stores.dynamodb.tables import EXPIRES_AT
from obscura.stores.dynamodb.transactions import update_all_or_none
from obscura.stores.policy_counters import (
    BUCKETS_IN_HOUR,
    HOUR_S,
    KEPT_COUNT_S,
    KEPT_ROLLBACK_S,
    from_microseconds,
    quota_row,
    rollback_subject,
    rollout_subject,
    to_microseconds,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

MAX_READ_KEYS = 100
"""DynamoDB API reference, BatchGetItem."""

_ADD = f"ADD taken :change SET {EXPIRES_AT} = :{EXPIRES_AT}"
_EMPTY = f"SET taken = :zero, {EXPIRES_AT} = :{EXPIRES_AT}"


class DynamoRolloutCounters:
    """An item for each hour of a version, whose attributes are its minutes: a window of a day is one batch."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("rates")

    async def add(self, policy_id: str, version: int, bucket: int, count: RolloutCount) -> None:
        """Add to the counts of a minute: one unconditional ``ADD``."""
        hour, minute = divmod(bucket, BUCKETS_IN_HOUR)
        values = {
            ":requests": count.requests,
            ":spikes": count.spikes,
            ":expires_at": (hour + 1) * HOUR_S + KEPT_COUNT_S,
        }

        def update(client: Client) -> None:
            client.update_item(
                TableName=self._table,
                Key=to_item(_hour_key(policy_id, version, hour)),
                UpdateExpression=(
                    f"ADD requests_{minute} :requests, spikes_{minute} :spikes SET {EXPIRES_AT} = :expires_at"
                ),
                ExpressionAttributeValues=to_item(values),
            )

        await self._database.call_once(update)

    async def counts(self, policy_id: str, version: int, buckets: Sequence[int]) -> Mapping[int, RolloutCount]:
        """Return the counts of these minutes."""
        by_hour = {
            hour: list(group)
            for hour, group in groupby(sorted(set(buckets)), key=lambda bucket: bucket // BUCKETS_IN_HOUR)
        }
        keys = {hour: _hour_key(policy_id, version, hour)["subject"] for hour in by_hour}
        items = await read_all(self._database, self._table, list(keys.values()))
        found: dict[int, RolloutCount] = {}
        for hour, inside in by_hour.items():
            item = items.get(keys[hour], {})
            for bucket in inside:
                minute = bucket % BUCKETS_IN_HOUR
                counted = int(item.get(f"requests_{minute}", 0)), int(item.get(f"spikes_{minute}", 0))
                if any(counted):
                    found[bucket] = RolloutCount(*counted)
        return found

    async def rolled_back_at_s(self, policy_id: str, version: int) -> float | None:
        """Return when a version was last rolled back."""
        key = {"subject": rollback_subject(policy_id, version)}
        item = await self._database.call_idempotent(lambda client: read_item(client, self._table, key))
        return from_microseconds(int(item["taken"])) if item else None

    async def roll_back(self, policy_id: str, version: int, at_s: float, since_s: float | None) -> bool:
        """Record a rollback if the last one is still ``since_s``: one conditional update."""
        values: dict[str, Any] = {":at": to_microseconds(at_s), ":expires_at": int(at_s) + KEPT_ROLLBACK_S}
        condition = "attribute_not_exists(taken)"
        if since_s is not None:
            condition, values[":since"] = "taken = :since", to_microseconds(since_s)

        def update(client: Client) -> bool:
            with expect_error("ConditionalCheckFailedException") as error:
                client.update_item(
                    TableName=self._table,
                    Key=to_item({"subject": rollback_subject(policy_id, version)}),
                    UpdateExpression=f"SET taken = :at, {EXPIRES_AT} = :expires_at",
                    ConditionExpression=condition,
                    ExpressionAttributeValues=to_item(values),
                )
            return not error.occurred

        return await self._database.call_once(update)


class DynamoQuotaCounters:
    """Quotas, reserved by a transaction over all counters of a request; one that conflicts with another is repeated."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("rates")

    async def used(self, keys: Sequence[str]) -> Mapping[str, int]:
        """Return the counts of those that exist."""
        names = {key: _quota_key(key)["subject"] for key in keys}
        items = await read_all(self._database, self._table, list(names.values()))
        return {key: int(items[name]["taken"]) for key, name in names.items() if name in items}

    async def reserve(self, limits: Mapping[str, int], at: datetime) -> str | None:
        """Add one to each counter, or to none and return one that is used up."""
        for key, limit in limits.items():
            if limit <= 0:
                return key
        if not limits:
            return None
        for attempt in range(MAX_CONFLICT_ATTEMPTS):
            await pause(attempt)
            error = await update_all_or_none(self._database, partial(self._reservations, limits))
            if not error.occurred:
                return None
            for key, reason in zip(limits, error.reasons, strict=False):
                if reason == "ConditionalCheckFailed":
                    return key
            if "TransactionConflict" not in error.reasons:
                break
        raise too_busy()

    async def add(self, changes: Mapping[str, int], at: datetime) -> None:
        """Add to counters, each by an update of its own; none falls below zero."""
        await gather_or_raise_first(
            [
                self._add(key, change) if change > 0 else self._take_off(key, -change)
                for key, change in changes.items()
                if change
            ]
        )

    def _reservations(self, limits: Mapping[str, int]) -> "list[UpdateTypeDef]":
        return [
            self._update(key, _ADD, "attribute_not_exists(taken) OR taken < :limit", change=1, limit=limit)
            for key, limit in limits.items()
        ]

    async def _add(self, key: str, change: int) -> None:
        await self._database.call_once(lambda client: client.update_item(**self._update(key, _ADD, change=change)))

    async def _take_off(self, key: str, amount: int) -> None:
        """Take off ``amount``, or all of a smaller count; one that changes between the two updates is tried again."""

        def take_off(client: Client) -> bool:
            if is_updated(client, self._update(key, _ADD, "taken >= :amount", change=-amount, amount=amount)):
                return True
            if is_updated(client, self._update(key, _EMPTY, "taken < :amount", zero=0, amount=amount)):
                return True
            return read_item(client, self._table, _quota_key(key)) is None

        for attempt in range(MAX_CONFLICT_ATTEMPTS):
            await pause(attempt)
            if await self._database.call_once(take_off):
                return
        raise too_busy()

    def _update(self, key: str, expression: str, condition: str | None = None, **values: int) -> "UpdateTypeDef":
        row = quota_row(key)
        update: UpdateTypeDef = {
            "TableName": self._table,
            "Key": to_item(_quota_key(key)),
            "UpdateExpression": expression,
            "ExpressionAttributeValues": to_item(
                {f":{name}": value for name, value in (values | {EXPIRES_AT: row.ends_at_s + MIN_KEPT_S}).items()}
            ),
        }
        if condition is not None:
            update["ConditionExpression"] = condition
        return update


def _hour_key(policy_id: str, version: int, hour: int) -> dict[str, str]:
    return {"subject": f"{rollout_subject(policy_id, version)}@{hour * HOUR_S}"}


def _quota_key(key: str) -> dict[str, str]:
    row = quota_row(key)
    return {"subject": f"{row.subject}@{row.begins_at_s}"}
