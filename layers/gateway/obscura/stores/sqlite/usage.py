"""Usage and budgets in SQLite: budgets are counters beside those of requests, usage has a table of its own."""

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta

from obscura.stores.sqlite.database import Database, in_transaction
from obscura.usage.base import COUNTS, KEPT_DAYS, BudgetCounter, BudgetExceeded, UsageCounts, UsageKey, UsageRow

_COLUMNS = ", ".join(COUNTS)
_ADD = f"""
INSERT INTO usage (day, subject, model, project, {_COLUMNS}) VALUES (?, ?, ?, ?, {", ".join("?" * len(COUNTS))})
ON CONFLICT DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTS)}
"""  # noqa: S608 our own names
_SELECT = f"""
SELECT day, subject, model, project, {_COLUMNS} FROM usage
WHERE day BETWEEN ? AND ? AND (?3 IS NULL OR subject = ?3) ORDER BY day, subject, model
"""  # noqa: S608 our own names
_DELETE_PAST = "DELETE FROM usage WHERE day < ?"

_RESERVE = """
INSERT INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET taken = taken + ?3 WHERE taken + ?3 <= ?5 RETURNING taken
"""
_SETTLE = """
INSERT INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (?1, ?2, max(0, ?3), ?4)
ON CONFLICT DO UPDATE SET taken = max(0, taken + ?3)
"""
_USED = "SELECT taken FROM counters WHERE subject = ? AND begins_at_s = ?"


class SqliteUsageStore:
    """A row for each day, key and model; the first write of a process deletes what is no longer kept."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._swept = False

    async def add(self, rows: Sequence[UsageRow]) -> None:
        """Add to the counts, in one transaction."""
        values = [
            (
                row.key.day.isoformat(),
                row.key.subject,
                row.key.model,
                row.key.project,
                *(getattr(row.counts, name) for name in COUNTS),
            )
            for row in rows
        ]

        def add(connection: sqlite3.Connection) -> None:
            connection.executemany(_ADD, values)
            if not self._swept:
                oldest = max(row.key.day for row in rows) - timedelta(days=KEPT_DAYS)
                connection.execute(_DELETE_PAST, (oldest.isoformat(),))

        await self._database.run(lambda connection: in_transaction(connection, lambda: add(connection)))
        self._swept = True

    async def rows(self, first: date, last: date, subject: str | None = None) -> Sequence[UsageRow]:
        """Return the counts of these days."""
        parameters = (first.isoformat(), last.isoformat(), subject)
        found = await self._database.run(lambda connection: connection.execute(_SELECT, parameters).fetchall())
        return [
            UsageRow(UsageKey(of, project, model, date.fromisoformat(day)), UsageCounts(*counts))
            for day, of, model, project, *counts in found
        ]


class SqliteBudgetStore:
    """Budgets, reserved in one IMMEDIATE transaction: the first writer holds the lock until it commits."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database.counters

    async def reserve(self, amounts: Sequence[tuple[BudgetCounter, int]]) -> Sequence[int | None]:
        """Add each amount to its counter, or none."""

        def reserve(connection: sqlite3.Connection) -> list[int | None]:
            left: list[int | None] = []
            for counter, amount in amounts:
                limit = counter.budget.limit
                row = (counter.name, counter.begins_at_s, amount, counter.kept_until_s, limit)
                taken = connection.execute(_RESERVE, row).fetchone() if amount <= limit else None
                if taken is None:
                    raise BudgetExceeded(counter, _used(connection, counter))
                left.append(limit - taken[0])
            return left

        return await self._database.run(lambda connection: in_transaction(connection, lambda: reserve(connection)))

    async def settle(self, changes: Sequence[tuple[BudgetCounter, int]]) -> None:
        """Add to counters, none of which falls below zero."""
        rows = [(each.name, each.begins_at_s, change, each.kept_until_s) for each, change in changes]
        await self._database.run(
            lambda connection: in_transaction(connection, lambda: connection.executemany(_SETTLE, rows))
        )

    async def used(self, counters: Sequence[BudgetCounter]) -> Sequence[int]:
        """Return the count of each."""
        return await self._database.run(lambda connection: [_used(connection, counter) for counter in counters])


def _used(connection: sqlite3.Connection, counter: BudgetCounter) -> int:
    row = connection.execute(_USED, (counter.name, counter.begins_at_s)).fetchone()
    return row[0] if row else 0
