"""The file of the counters, apart from all else: only counters take the space that it keeps (ADR 79)."""

import sqlite3
from pathlib import Path

from obscura.stores.sqlite.reserve import keep_log, keep_pages

COUNTERS_FILE = "counters.sqlite3"
LOG_BYTES = 4 * 1024 * 1024
RESERVE_BYTES = 2 * 1024 * 1024
"""Some 12,000 counters of 160 bytes; a key has one a minute, an anonymous network at most four a day."""

_TABLES = """
CREATE TABLE IF NOT EXISTS counters (
    subject TEXT NOT NULL,
    begins_at_s INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    ends_at_s INTEGER NOT NULL,
    PRIMARY KEY (subject, begins_at_s)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counters_by_end ON counters (ends_at_s);
"""
_SELECT_FORMER = "SELECT subject, begins_at_s, taken, ends_at_s FROM counters"
_MOVE = """
INSERT INTO counters VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET taken = max(taken, excluded.taken)
"""


def set_up_counters(connection: sqlite3.Connection, path: Path | None) -> None:
    """Create the table and its reserve; ``path`` is the database's file, if it has one. Raises OSError."""
    connection.executescript(_TABLES)
    if path is not None:
        keep_pages(connection, RESERVE_BYTES)
        keep_log(path, LOG_BYTES)


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
