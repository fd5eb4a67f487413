"""Counters of policies in SQLite: rows among the request counters, in the file that keeps space for them (ADR 79)."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from obscura.policy.rollout import BUCKET_S, RolloutCount
from obscura.stores.policy_counters import (
    KEPT_COUNT_S,
    KEPT_ROLLBACK_S,
    from_microseconds,
    quota_row,
    rollback_subject,
    rollout_subject,
    to_microseconds,
)
from obscura.stores.sqlite.database import Database, in_transaction

_ADD = """
INSERT INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (?1, ?2, max(0, ?3), ?4)
ON CONFLICT DO UPDATE SET taken = max(0, taken + ?3)
"""
_TAKE = """
INSERT INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (?, ?, 1, ?)
ON CONFLICT DO UPDATE SET taken = taken + 1 WHERE taken < ?
"""
_SELECT = "SELECT taken FROM counters WHERE subject = ? AND begins_at_s = ?"
_SELECT_BETWEEN = "SELECT begins_at_s, taken FROM counters WHERE subject = ? AND begins_at_s BETWEEN ? AND ?"
_FIRST_ROLLBACK = """
INSERT OR IGNORE INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (:subject, 0, :at, :ends_at_s)
"""
_NEXT_ROLLBACK = """
UPDATE counters SET taken = :at, ends_at_s = :ends_at_s WHERE subject = :subject AND begins_at_s = 0 AND taken = :since
"""


class SqliteRolloutCounters:
    """Two rows for each minute of a version, requests and spikes; one for its last rollback."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database.counters

    async def add(self, policy_id: str, version: int, bucket: int, count: RolloutCount) -> None:
        """Add to the counts of a minute."""
        subject, begins_at_s = rollout_subject(policy_id, version), bucket * BUCKET_S
        rows = [
            (f"{subject}#{name}", begins_at_s, added, begins_at_s + KEPT_COUNT_S)
            for name, added in (("requests", count.requests), ("spikes", count.spikes))
            if added
        ]
        await self._database.run(lambda connection: in_transaction(connection, lambda: _add(connection, rows)))

    async def counts(self, policy_id: str, version: int, buckets: Sequence[int]) -> Mapping[int, RolloutCount]:
        """Return the counts of these minutes."""
        if not buckets:
            return {}
        subject = rollout_subject(policy_id, version)
        span = (min(buckets) * BUCKET_S, max(buckets) * BUCKET_S)

        def select(connection: sqlite3.Connection) -> tuple[dict[int, int], dict[int, int]]:
            requests, spikes = (
                dict(connection.execute(_SELECT_BETWEEN, (f"{subject}#{name}", *span)).fetchall())
                for name in ("requests", "spikes")
            )
            return requests, spikes

        requests, spikes = await self._database.run(select)
        found = {bucket: (requests.get(bucket * BUCKET_S, 0), spikes.get(bucket * BUCKET_S, 0)) for bucket in buckets}
        return {bucket: RolloutCount(*counted) for bucket, counted in found.items() if any(counted)}

    async def rolled_back_at_s(self, policy_id: str, version: int) -> float | None:
        """Return when a version was last rolled back."""
        subject = rollback_subject(policy_id, version)
        row = await self._database.run(lambda connection: connection.execute(_SELECT, (subject, 0)).fetchone())
        return from_microseconds(row[0]) if row else None

    async def roll_back(self, policy_id: str, version: int, at_s: float, since_s: float | None) -> bool:
        """Record a rollback if the last one is still ``since_s``: one statement."""
        statement, parameters = (
            _FIRST_ROLLBACK,
            {
                "subject": rollback_subject(policy_id, version),
                "at": to_microseconds(at_s),
                "ends_at_s": int(at_s) + KEPT_ROLLBACK_S,
            },
        )
        if since_s is not None:
            statement, parameters["since"] = _NEXT_ROLLBACK, to_microseconds(since_s)
        return await self._database.run(lambda connection: connection.execute(statement, parameters).rowcount == 1)


class SqliteQuotaCounters:
    """Quotas, reserved in one IMMEDIATE transaction: the first writer holds the lock until it commits."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database.counters

    async def used(self, keys: Sequence[str]) -> Mapping[str, int]:
        """Return the counts of those that exist."""

        def select(connection: sqlite3.Connection) -> dict[str, int]:
            rows = {key: quota_row(key) for key in keys}
            found = {
                key: connection.execute(_SELECT, (row.subject, row.begins_at_s)).fetchone() for key, row in rows.items()
            }
            return {key: row[0] for key, row in found.items() if row is not None}

        return await self._database.run(select)

    async def reserve(self, limits: Mapping[str, int], at: datetime) -> str | None:
        """Add one to each counter, or to none and return one that is used up."""
        rows = [(key, quota_row(key), limit) for key, limit in limits.items()]

        def take(connection: sqlite3.Connection) -> str | None:
            for key, row, limit in rows:
                parameters = (row.subject, row.begins_at_s, row.ends_at_s, limit)
                if limit <= 0 or connection.execute(_TAKE, parameters).rowcount == 0:
                    raise _UsedUp(key)
            return None

        try:
            return await self._database.run(lambda connection: in_transaction(connection, lambda: take(connection)))
        except _UsedUp as used_up:
            return used_up.key

    async def add(self, changes: Mapping[str, int], at: datetime) -> None:
        """Add to counters, none of which falls below zero."""
        named = [(quota_row(key), change) for key, change in changes.items()]
        rows = [(row.subject, row.begins_at_s, change, row.ends_at_s) for row, change in named]
        await self._database.run(lambda connection: in_transaction(connection, lambda: _add(connection, rows)))


class _UsedUp(Exception):
    """A counter is at its limit, so that the transaction is rolled back."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _add(connection: sqlite3.Connection, rows: Iterable[tuple[str, int, int, int]]) -> None:
    connection.executemany(_ADD, rows)
