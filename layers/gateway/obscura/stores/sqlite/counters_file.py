"""The file of the counters, which keeps room for itself: a full disk stops files, and no request (ADR 79).

SQLite's write-ahead log starts again at its beginning after a checkpoint, and pages of deleted rows are used again: a
file and a log that once had ``RESERVE_BYTES`` more need no new block of the disk (SQLite, "Write-Ahead Logging" §3,
"Database File Format" §1.5).
"""

import sqlite3
from pathlib import Path

COUNTERS_FILE = "counters.sqlite3"
RESERVE_BYTES = 4 * 1024 * 1024
"""Some 25,000 counters of 160 bytes; a key has one a minute, an anonymous network at most four a day."""

_TABLES = """
CREATE TABLE IF NOT EXISTS counters (
    subject TEXT NOT NULL,
    begins_at_s INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    ends_at_s INTEGER NOT NULL,
    PRIMARY KEY (subject, begins_at_s)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counters_by_end ON counters (ends_at_s);
CREATE TABLE IF NOT EXISTS reserve (filler BLOB) STRICT;
"""
_SELECT_FORMER = "SELECT subject, begins_at_s, taken, ends_at_s FROM counters"
_MOVE = """
INSERT INTO counters VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET taken = max(taken, excluded.taken)
"""


def set_up_counters(connection: sqlite3.Connection, path: Path | None) -> None:
    """Create the table, and the reserve unless it is there; ``path`` is the database's file, if it has one.

    On a full disk it raises SQLITE_FULL, unless a server that runs on the same file holds the reserve.
    """
    connection.executescript(_TABLES)
    if path is None:
        return
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size >= RESERVE_BYTES
    if has_log and _free_bytes(connection) >= RESERVE_BYTES:
        return
    try:
        connection.execute("INSERT INTO reserve VALUES (zeroblob(?))", (RESERVE_BYTES,))
        connection.execute("DELETE FROM reserve")
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
    except sqlite3.OperationalError as error:
        if not has_log or error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise


def move_former_counters(main: sqlite3.Connection, counters: sqlite3.Connection) -> None:
    """Move the counters that earlier versions kept in the main database; safe in several processes at once."""
    if main.execute(f"{_SELECT_FORMER} LIMIT 1").fetchone() is None:
        return
    main.execute("BEGIN IMMEDIATE")
    counters.execute("BEGIN IMMEDIATE")
    counters.executemany(_MOVE, main.execute(_SELECT_FORMER).fetchall())
    counters.execute("COMMIT")
    main.execute("DELETE FROM counters")
    main.execute("COMMIT")


def _free_bytes(connection: sqlite3.Connection) -> int:
    free_pages: int
    page_bytes: int
    (free_pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return free_pages * page_bytes
