"""Counters and verdicts in SQLite: rates, the free tier's quotas, digests of clean images and texts."""

import asyncio
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import batched

from obscura.auth.base import Counter, Paused, Window
from obscura.stores.sqlite.database import Database

_INCREMENT = """
INSERT INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (?, ?, 1, ?)
ON CONFLICT DO UPDATE SET taken = taken + 1 RETURNING taken
"""
_RESERVE = """
INSERT INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (?, ?, 1, ?)
ON CONFLICT DO UPDATE SET taken = taken + 1 WHERE taken < ? RETURNING taken
"""
_RELEASE = "UPDATE counters SET taken = taken - 1 WHERE subject = ? AND begins_at_s = ? AND taken > 0"
_SELECT_USED = "SELECT taken FROM counters WHERE subject = ? AND begins_at_s = ?"
_RESET = "DELETE FROM counters WHERE subject = ? AND begins_at_s = ?"
_PAUSE = """
INSERT INTO counters (subject, begins_at_s, taken, ends_at_s) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET taken = max(taken, excluded.taken)
"""
_DELETE_PAST = "DELETE FROM counters WHERE ends_at_s <= ?"
"""``ends_at_s`` is when a count may be forgotten (``Window.kept_until_s``)."""


class SqliteRateCounter:
    """Rates, counted by one statement each (ADR 20); the first request of a window deletes those that are not kept."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database.counters

    async def increment(self, subject: str, window: Window) -> int:
        """Count one request."""

        def count(connection: sqlite3.Connection) -> int:
            counted: int
            (counted,) = connection.execute(_INCREMENT, (subject, window.begins_at_s, window.kept_until_s)).fetchone()
            if counted == 1:
                with suppress(sqlite3.OperationalError):  # counted already: a lock taken since then changes nothing
                    connection.execute(_DELETE_PAST, (window.begins_at_s,))
            return counted

        return await self._database.run(count)


class SqliteQuotaStore:
    """Quotas, reserved in one IMMEDIATE transaction: the first writer holds the lock until it commits."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database.counters

    async def reserve(self, counters: Sequence[Counter], at_s: int | None = None) -> int | None:
        """Count one request in all counters or in none."""
        return await self._database.run(lambda connection: _reserve(connection, counters, at_s))

    async def release(self, counters: Sequence[Counter], refunds: Sequence[Counter] = ()) -> bool:
        """Take one request off all counters, and count one in all refunds, or do neither."""
        return await self._database.run(lambda connection: _release(connection, counters, refunds))

    async def reserve_shared(self, counter: Counter) -> int | None:
        """Count one request of a shared counter: any two writers wait for each other here."""
        return await self.reserve([counter])

    async def release_shared(self, counter: Counter) -> None:
        """Take one request off a shared counter."""
        await self.release([counter])

    async def pause(self, counter: Counter, until_s: int) -> None:
        """Let no request of a counter be reserved before ``until_s``: a row of its own, which goes with the window."""
        row = (_pause_name(counter), counter.window.begins_at_s, until_s, counter.window.ends_at_s)
        await self._database.run(lambda connection: connection.execute(_PAUSE, row))

    async def used(self, counters: Sequence[Counter]) -> list[int]:
        """Return the count of each."""
        return await self._database.run(lambda connection: [_select_used(connection, counter) for counter in counters])

    async def reset(self, counters: Sequence[Counter]) -> None:
        """Set each to zero, and end its pause."""
        pauses = [(_pause_name(counter), counter.window.begins_at_s) for counter in counters]
        rows = [*map(_row_key, counters), *pauses]
        await self._database.run(lambda connection: _reset(connection, rows))


def _reserve(connection: sqlite3.Connection, counters: Sequence[Counter], at_s: int | None) -> int | None:
    with _transaction(connection):
        if at_s is not None:
            _require_no_pause(connection, counters, at_s)
        counts = _count_in_all(connection, counters)
        if not counts:
            connection.execute("ROLLBACK")
            return None
        connection.execute(_DELETE_PAST, (counters[0].window.begins_at_s,))
    return counters[0].limit - counts[0]


def _release(connection: sqlite3.Connection, counters: Sequence[Counter], refunds: Sequence[Counter]) -> bool:
    with _transaction(connection):
        counted = all(refund.limit > 0 for refund in refunds) and (
            not refunds or bool(_count_in_all(connection, refunds))
        )
        released = counted and all(connection.execute(_RELEASE, _row_key(counter)).rowcount for counter in counters)
        if not released:
            connection.execute("ROLLBACK")
    return released


def _reset(connection: sqlite3.Connection, rows: Sequence[tuple[str, int]]) -> None:
    with _transaction(connection):
        connection.executemany(_RESET, rows)


def _require_no_pause(connection: sqlite3.Connection, counters: Sequence[Counter], at_s: int) -> None:
    for counter in counters:
        row = connection.execute(_SELECT_USED, (_pause_name(counter), counter.window.begins_at_s)).fetchone()
        if row is not None and row[0] > at_s:
            raise Paused(row[0])


def _count_in_all(connection: sqlite3.Connection, counters: Sequence[Counter]) -> list[int]:
    """Count one request in each, and return the counts; none as soon as one is at its limit."""
    counts: list[int] = []
    for counter in counters:
        parameters = (*_row_key(counter), counter.window.kept_until_s, counter.limit)
        row = connection.execute(_RESERVE, parameters).fetchone()
        if row is None:
            return []
        counts += row
    return counts


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit at the end, unless it was rolled back within; roll back on any exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        if connection.in_transaction:
            connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _select_used(connection: sqlite3.Connection, counter: Counter) -> int:
    row: tuple[int] | None = connection.execute(_SELECT_USED, _row_key(counter)).fetchone()
    return row[0] if row else 0


def _row_key(counter: Counter) -> tuple[str, int]:
    return counter.subject, counter.window.begins_at_s


def _pause_name(counter: Counter) -> str:
    """Return the subject of a counter's pause: its count is the second at which it ends."""
    return f"{counter.subject}#paused_until"


_SELECT_CLEAN = "SELECT digest FROM verdicts WHERE expires_at > ? AND digest IN ({})"
_INSERT_CLEAN = "INSERT OR REPLACE INTO verdicts VALUES (?, ?)"
_DELETE_EXPIRED = "DELETE FROM verdicts WHERE expires_at <= ?"
_DELETE_SOME = "DELETE FROM verdicts WHERE digest IN (SELECT digest FROM verdicts LIMIT 1000)"
"""At once, a large table would hold the lock for longer than a server's requests wait for it."""
MAX_BATCH = 100
"""Digests in one statement or transaction: it takes a millisecond or a few, and runs on the event loop."""


class SqliteVerdictCache:
    """Digests of what was found clean; adding some deletes expired ones."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def clean_among(self, digests: Collection[bytes], at: datetime) -> set[bytes]:
        """Return those with a valid verdict."""
        clean: set[bytes] = set()
        for batch in batched(digests, MAX_BATCH, strict=False):
            await asyncio.sleep(0)  # other requests go on between two batches
            clean |= await self._database.run(partial(_select_clean, digests=batch, at_s=at.timestamp()))
        return clean

    async def add_clean_all(self, digests: Collection[bytes], at: datetime, until: datetime) -> None:
        """Store clean verdicts; none on a full disk, whose last bytes are for other writes."""
        if self._database.is_short_of_disk():
            return
        for batch in batched(digests, MAX_BATCH, strict=False):
            await asyncio.sleep(0)
            rows = [(digest, int(until.timestamp())) for digest in batch]
            await self._database.run(partial(_insert_clean, rows=rows, at_s=at.timestamp()))

    async def clear(self) -> int:
        """Delete every verdict, some at a time."""
        deleted = 0
        while count := await self._database.run(lambda connection: connection.execute(_DELETE_SOME).rowcount):
            deleted += count
            await asyncio.sleep(0)
        return deleted


def _select_clean(connection: sqlite3.Connection, digests: Sequence[bytes], at_s: float) -> set[bytes]:
    """Look all digests up in one statement, six times as fast as one each."""
    statement = _SELECT_CLEAN.format(",".join("?" * len(digests)))
    return {digest for (digest,) in connection.execute(statement, (at_s, *digests))}


def _insert_clean(connection: sqlite3.Connection, rows: Sequence[tuple[bytes, int]], at_s: float) -> None:
    with _transaction(connection):
        connection.execute(_DELETE_EXPIRED, (at_s,))
        connection.executemany(_INSERT_CLEAN, rows)
