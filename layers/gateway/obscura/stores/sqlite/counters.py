"""Counters in SQLite: rates and places, a row for each subject and window."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from obscura.auth.base import Counter
from obscura.stores.sqlite.database import Database, retry_while_locked

_COUNT = """
INSERT INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (?, ?, 1, ?)
ON CONFLICT DO UPDATE SET taken = taken + 1 RETURNING taken
"""
_RESERVE = """
INSERT INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (?, ?, 1, ?)
ON CONFLICT DO UPDATE SET taken = taken + 1 WHERE taken < ? RETURNING taken
"""
_RELEASE = "UPDATE counters SET taken = taken - 1 WHERE subject = ? AND begins_at_s = ? AND taken > 0"
_USED = "SELECT taken FROM counters WHERE subject = ? AND begins_at_s = ?"
_RESET = "DELETE FROM counters WHERE subject = ? AND begins_at_s = ?"
_CLEAN = "DELETE FROM counters WHERE ends_at_s <= ?"


class SqliteRateCounter:
    """Requests counted by one statement of microseconds each; the first of a window cleans up after past ones."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """``connection`` comes from ``open_database``."""
        self._connection = connection

    async def count(self, counter: Counter) -> int:
        """Count one request."""
        return await retry_while_locked(lambda: self._count(counter))

    def _count(self, counter: Counter) -> int:
        taken: int
        (taken,) = self._connection.execute(_COUNT, (*_row_key(counter), counter.window.ends_at_s)).fetchone()
        if taken == 1:
            with suppress(sqlite3.OperationalError):  # it is counted already: a lock taken since then changes nothing
                self._connection.execute(_CLEAN, (counter.window.begins_at_s,))
        return taken


class SqliteQuotaStore:
    """Places taken in one IMMEDIATE transaction: whoever writes first holds the lock until it is done."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """``connection`` comes from ``open_database``."""
        self._connection = connection

    async def take(self, counters: Sequence[Counter]) -> int | None:
        """Take a place in all counters or in none."""
        return await retry_while_locked(lambda: self._take(counters))

    async def give_back(self, counters: Sequence[Counter]) -> None:
        """Return one place back."""
        await retry_while_locked(lambda: self._for_each(_RELEASE, counters))

    async def taken(self, counters: Sequence[Counter]) -> list[int]:
        """Return how many places of each are taken."""
        return await retry_while_locked(lambda: [self._taken(counter) for counter in counters])

    async def forget(self, counters: Sequence[Counter]) -> None:
        """Make all places free."""
        await retry_while_locked(lambda: self._for_each(_RESET, counters))

    def _taken(self, counter: Counter) -> int:
        row: tuple[int] | None = self._connection.execute(_USED, _row_key(counter)).fetchone()
        return row[0] if row else 0

    def _take(self, counters: Sequence[Counter]) -> int | None:
        self._connection.execute("BEGIN IMMEDIATE")
        taken: list[int] = []
        try:
            for counter in counters:
                row = (*_row_key(counter), counter.window.ends_at_s, counter.limit)
                found = self._connection.execute(_RESERVE, row).fetchone()
                if found is None:
                    self._connection.execute("ROLLBACK")
                    return None
                taken += found
            self._connection.execute(_CLEAN, (counters[0].window.begins_at_s,))
            self._connection.execute("COMMIT")
        except BaseException:
            self._undo()
            raise
        return counters[0].limit - taken[0]

    def _for_each(self, statement: str, counters: Sequence[Counter]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(statement, [_row_key(counter) for counter in counters])
            self._connection.execute("COMMIT")
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _row_key(counter: Counter) -> tuple[str, int]:
    return counter.subject, counter.window.begins_at_s


_FIND_VERDICT = "SELECT 1 FROM verdicts WHERE digest = ? AND expires_at > ?"
_ADD_CLEAN = "INSERT OR REPLACE INTO verdicts VALUES (?, ?)"


class SqliteVerdictCache:
    """Digests of clean images; each new one takes expired ones away."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def is_clean(self, digest: bytes, at: datetime) -> bool:
        """Whether a clean verdict is remembered."""
        asked = (digest, at.timestamp())
        return await self._database.run(
            lambda connection: connection.execute(_FIND_VERDICT, asked).fetchone() is not None
        )

    async def add_clean(self, digest: bytes, at: datetime, until: datetime) -> None:
        """Remember a clean verdict."""

        def remember(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM verdicts WHERE expires_at <= ?", (at.timestamp(),))
            connection.execute(_ADD_CLEAN, (digest, int(until.timestamp())))

        await self._database.run(remember)
