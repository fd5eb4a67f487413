"""The one database file: how it is opened, and its tables."""

import sqlite3
from pathlib import Path

FILE_NAME = "obscura.sqlite3"
OPENED_WITHIN_S = 5.0

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    secret_sha256 BLOB NOT NULL UNIQUE,
    project TEXT NOT NULL,
    zero_retention INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS counters (
    subject TEXT NOT NULL,
    begins_at_s INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    ends_at_s INTEGER NOT NULL,
    PRIMARY KEY (subject, begins_at_s)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counters_by_end ON counters (ends_at_s);
"""
_LATER_COLUMNS = {"scopes": "TEXT NOT NULL DEFAULT ''", "requests_per_minute": "INTEGER"}
"""Columns of ``keys`` that a database of an earlier version lacks."""


def open_database(data_dir: Path | None) -> sqlite3.Connection:
    """Open, or make, the database below ``data_dir``; None gives one in memory that ends with the process.

    Write-ahead logging lets readers pass a writer in another process, so the command line works beside a server. Once
    open, a statement never waits for a lock, since it would keep the event loop waiting: see ``patiently``.
    """
    if data_dir is None:
        connection = sqlite3.connect(":memory:", autocommit=True, check_same_thread=False)
    else:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(
            data_dir / FILE_NAME, timeout=OPENED_WITHIN_S, autocommit=True, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_TABLES)
    _add_later_columns(connection)
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


def _add_later_columns(connection: sqlite3.Connection) -> None:
    present = {name for _, name, *_ in connection.execute("PRAGMA table_info(keys)")}
    for name, definition in _LATER_COLUMNS.items():
        if name not in present:
            connection.execute(f"ALTER TABLE keys ADD COLUMN {name} {definition}")
