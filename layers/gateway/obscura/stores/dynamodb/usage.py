"""Usage and budgets in DynamoDB, in the table of request counters.

Usage is one item for each key and day, with attributes of its own for each model, so that a flush is one unconditional
``ADD`` a key; an item for each day has the keys that were used on it.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from obscura.execution import gather_or_raise_first
from obscura.stores.dynamodb.conflicts import is_updated, pause, read_all, too_busy
from obscura.stores.dynamodb.counters import MAX_CONFLICT_ATTEMPTS
from obscura.stores.dynamodb.database import Client, DynamoDb, ExpectedError, expect_error, from_item, to_item
from obscura.stores.dynamodb.tables import EXPIRES_AT
from obscura.usage.base import COUNTS, KEPT_DAYS, BudgetCounter, BudgetExceeded, UsageCounts, UsageKey, UsageRow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

MAX_MODEL_CHARS = 100
"""Of a model's name in that of an attribute, which may have 255 bytes (DynamoDB, "Constraints")."""

_SEPARATOR = "|"
_ADD = f"ADD taken :change SET {EXPIRES_AT} = :{EXPIRES_AT}"
_EMPTY = f"SET taken = :zero, {EXPIRES_AT} = :{EXPIRES_AT}"


class DynamoUsageStore:
    """Usage by key, model and day."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("rates")
        self._listed: set[tuple[date, str]] = set()

    async def add(self, rows: Sequence[UsageRow]) -> None:
        """Add to the counts: one update for each key and day, and one for its first in this process."""
        by_item: dict[tuple[date, str], list[UsageRow]] = {}
        for row in rows:
            by_item.setdefault((row.key.day, row.key.subject), []).append(row)
        new = by_item.keys() - self._listed
        for day in {day for day, _ in new}:
            subjects = {subject for on, subject in new if on == day}
            await self._database.call_once(partial(self._list, day, subjects))
        self._listed = {known for known in self._listed | new if known[0] >= max(day for day, _ in by_item)}
        await gather_or_raise_first(
            [
                self._database.call_once(partial(self._add, day, subject, of_item))
                for (day, subject), of_item in by_item.items()
            ]
        )

    async def rows(self, first: date, last: date, subject: str | None = None) -> Sequence[UsageRow]:
        """Return the counts of these days."""
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        if subject is None:
            listed = await read_all(self._database, self._table, [_day_item(day) for day in days])
            wanted = [(day, one) for day in days for one in sorted(listed.get(_day_item(day), {}).get("subjects", ()))]
        else:
            wanted = [(day, subject) for day in days]
        items = await read_all(self._database, self._table, [_item_name(*each) for each in wanted])
        return [
            row
            for day, of in wanted
            if (item := items.get(_item_name(day, of))) is not None
            for row in _rows(day, of, item)
        ]

    def _list(self, day: date, subjects: set[str], client: Client) -> None:
        client.update_item(
            TableName=self._table,
            Key=to_item({"subject": _day_item(day)}),
            UpdateExpression=f"ADD subjects :subjects SET {EXPIRES_AT} = :expires_at",
            ExpressionAttributeValues=to_item({":subjects": subjects, ":expires_at": _kept_until_s(day)}),
        )

    def _add(self, day: date, subject: str, rows: Sequence[UsageRow], client: Client) -> None:
        names: dict[str, str] = {"#project": "project"}
        values: dict[str, Any] = {":project": rows[0].key.project, ":expires_at": _kept_until_s(day)}
        added: list[str] = []
        for row_number, row in enumerate(rows):
            for count_number, count in enumerate(COUNTS):
                amount = getattr(row.counts, count)
                if amount:
                    number = f"{row_number}_{count_number}"
                    names[f"#n{number}"] = f"{count}{_SEPARATOR}{row.key.model[:MAX_MODEL_CHARS]}"
                    values[f":v{number}"] = amount
                    added.append(f"#n{number} :v{number}")
        client.update_item(
            TableName=self._table,
            Key=to_item({"subject": _item_name(day, subject)}),
            UpdateExpression=f"ADD {', '.join(added)} SET #project = :project, {EXPIRES_AT} = :expires_at",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=to_item(values),
        )


class DynamoBudgetStore:
    """Budgets, reserved by a transaction over all counters of a request; one that conflicts is repeated."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("rates")

    async def reserve(self, amounts: Sequence[tuple[BudgetCounter, int]]) -> Sequence[int | None]:
        """Add each amount to its counter, or none; a transaction does not report what it left."""
        for counter, amount in amounts:
            if amount > counter.budget.limit:
                raise BudgetExceeded(counter)
        if len(amounts) == 1:
            return [await self._database.call_once(partial(self._reserve_one, *amounts[0]))]
        for attempt in range(MAX_CONFLICT_ATTEMPTS):
            await pause(attempt)
            error = await self._database.call_once(partial(self._reserve, amounts))
            if not error.occurred:
                return [None] * len(amounts)
            for (counter, _), reason in zip(amounts, error.reasons, strict=False):
                if reason == "ConditionalCheckFailed":
                    raise BudgetExceeded(counter)
            if "TransactionConflict" not in error.reasons:
                break
        raise too_busy()

    async def settle(self, changes: Sequence[tuple[BudgetCounter, int]]) -> None:
        """Add to counters, each by an update of its own; none falls below zero."""
        await gather_or_raise_first([self._settle(counter, change) for counter, change in changes if change])

    async def used(self, counters: Sequence[BudgetCounter]) -> Sequence[int]:
        """Return the count of each."""
        names = [_counter_item(counter) for counter in counters]
        items = await read_all(self._database, self._table, names)
        return [int(items.get(name, {}).get("taken", 0)) for name in names]

    def _reserve_one(self, counter: BudgetCounter, amount: int, client: Client) -> int:
        with expect_error("ConditionalCheckFailedException") as error:
            response = client.update_item(**self._reservation(counter, amount), ReturnValues="UPDATED_NEW")
            left = counter.budget.limit - int(from_item(response["Attributes"])["taken"])
        if error.occurred:
            raise BudgetExceeded(counter)
        return left

    def _reserve(self, amounts: Sequence[tuple[BudgetCounter, int]], client: Client) -> ExpectedError:
        updates = [self._reservation(counter, amount) for counter, amount in amounts]
        with expect_error("TransactionCanceledException") as error:
            client.transact_write_items(TransactItems=[{"Update": update} for update in updates])
        return error

    def _reservation(self, counter: BudgetCounter, amount: int) -> "UpdateTypeDef":
        most = counter.budget.limit - amount
        return self._update(counter, _ADD, "attribute_not_exists(taken) OR taken <= :most", change=amount, most=most)

    async def _settle(self, counter: BudgetCounter, change: int) -> None:
        def settle(client: Client) -> bool:
            if change > 0:
                client.update_item(**self._update(counter, _ADD, change=change))
                return True
            left = self._update(counter, _ADD, "taken >= :amount", change=change, amount=-change)
            if is_updated(client, left):
                return True
            return is_updated(client, self._update(counter, _EMPTY, "taken < :amount", zero=0, amount=-change))

        for attempt in range(MAX_CONFLICT_ATTEMPTS):
            await pause(attempt)
            if await self._database.call_once(settle):
                return
        raise too_busy()

    def _update(
        self, counter: BudgetCounter, expression: str, condition: str | None = None, **values: int
    ) -> "UpdateTypeDef":
        given = values | {EXPIRES_AT: counter.kept_until_s}
        update: UpdateTypeDef = {
            "TableName": self._table,
            "Key": to_item({"subject": _counter_item(counter)}),
            "UpdateExpression": expression,
            "ExpressionAttributeValues": to_item({f":{name}": value for name, value in given.items()}),
        }
        if condition is not None:
            update["ConditionExpression"] = condition
        return update


def _rows(day: date, subject: str, item: dict[str, Any]) -> list[UsageRow]:
    by_model: dict[str, UsageCounts] = {}
    for name, value in item.items():
        count, separator, model = name.partition(_SEPARATOR)
        if separator and count in COUNTS:
            setattr(by_model.setdefault(model, UsageCounts()), count, int(value))
    project = str(item.get("project", ""))
    return [UsageRow(UsageKey(subject, project, model, day), counts) for model, counts in sorted(by_model.items())]


def _day_item(day: date) -> str:
    return f"usage@{day.isoformat()}"


def _item_name(day: date, subject: str) -> str:
    return f"usage#{subject}@{day.isoformat()}"


def _counter_item(counter: BudgetCounter) -> str:
    return f"{counter.name}@{counter.begins_at_s}"


def _kept_until_s(day: date) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int((midnight + timedelta(days=KEPT_DAYS)).timestamp())
