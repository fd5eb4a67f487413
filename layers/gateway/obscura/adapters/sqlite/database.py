"""The one database file: how it is opened, and its tables."""

import sqlite3
from pathlib import Path
from time import monotonic, sleep

from obscura.errors import UpstreamUnavailable

FILE_NAME = "obscura.sqlite3"
OPENED_WITHIN_S = 5.0
PAUSE_S = 0.01

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    secret_sha256 BLOB NOT NULL UNIQUE,
    project TEXT NOT NULL,
    zero_retention INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT,
    scopes TEXT NOT NULL DEFAULT '',
    requests_per_minute INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS counters (
    subject TEXT NOT NULL,
    begins_at_s INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    ends_at_s INTEGER NOT NULL,
    PRIMARY KEY (subject, begins_at_s)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counters_by_end ON counters (ends_at_s);
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS files_of_project ON files (project, id);
CREATE INDEX IF NOT EXISTS files_by_expiry ON files (expires_at);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    declared_bytes INTEGER NOT NULL,
    lifetime_s INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    file_id TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS uploads_by_expiry ON uploads (expires_at);
CREATE TABLE IF NOT EXISTS parts (
    upload_id TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (upload_id, id)
) STRICT;
CREATE TABLE IF NOT EXISTS verdicts (digest BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS verdicts_by_expiry ON verdicts (expires_at);
"""
_LATER_COLUMNS = {"scopes": "TEXT NOT NULL DEFAULT ''", "requests_per_minute": "INTEGER"}
"""Columns of ``keys`` that a database of an earlier version lacks."""


def open_database(data_dir: Path | None) -> sqlite3.Connection:
    """Open, or make, the database below ``data_dir``; None gives one in memory that ends with the process.

    Write-ahead logging lets readers pass a writer in another process, so the command line works beside a server. Once
    open, a statement never waits for a lock, since it would keep the event loop waiting: see ``patiently``. Raises
    UpstreamUnavailable when the folder or the file cannot be used.
    """
    place = ":memory:" if data_dir is None else data_dir / FILE_NAME
    try:
        if data_dir is not None:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(place, timeout=OPENED_WITHIN_S, autocommit=True, check_same_thread=False)
    except (sqlite3.Error, OSError):
        raise _unusable() from None
    try:
        _set_up(connection)
    except sqlite3.Error:
        connection.close()
        raise _unusable() from None
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    _log_ahead(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(_TABLES)
    if _missing_columns(connection):
        _add_missing_columns(connection)
    connection.execute("PRAGMA busy_timeout = 0")


def _unusable() -> UpstreamUnavailable:
    return UpstreamUnavailable(
        f"Obscura's database ({FILE_NAME} in the data folder) cannot be used. Free its lock, or name another folder "
        "in OBSCURA_DATA_DIR.",
        retry_after_s=1,
    )


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; where two do so at once, SQLite refuses one without waiting for the lock."""
    deadline_s = monotonic() + OPENED_WITHIN_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            if monotonic() > deadline_s:
                raise
            sleep(PAUSE_S)
    connection.execute("PRAGMA synchronous = NORMAL")


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    present = {name for _, name, *_ in connection.execute("PRAGMA table_info(keys)")}
    return [column for column in _LATER_COLUMNS if column not in present]


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Look again under the lock: another process may have been at it too."""
    connection.execute("BEGIN IMMEDIATE")
    for column in _missing_columns(connection):
        connection.execute(f"ALTER TABLE keys ADD COLUMN {column} {_LATER_COLUMNS[column]}")
    connection.execute("COMMIT")
