"""Waiting for a locked database without keeping the event loop waiting."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from obscura.errors import UpstreamUnavailable

MAX_LOCK_WAIT_S = 2.0
FIRST_PAUSE_S = 0.002
MAX_PAUSE_S = 0.05


async def retry_while_locked[T](work: Callable[[], T]) -> T:
    """Return what ``work`` gives, called again while another process holds the lock.

    ``work`` is one statement or one transaction of microseconds on a connection that does not wait by itself. Raises
    UpstreamUnavailable when the lock is not free within ``MAX_LOCK_WAIT_S``, or the file cannot be used at all; a
    statement that breaks a constraint raises sqlite3.IntegrityError.
    """
    deadline_s = monotonic() + MAX_LOCK_WAIT_S
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return work()
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as failure:
            if not _locked(failure) or monotonic() > deadline_s:
                raise UpstreamUnavailable(
                    "Obscura's store cannot be used. Try again in a moment.", retry_after_s=1
                ) from None
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, MAX_PAUSE_S)


class Database:
    """A connection for stores whose work is told as a function of it; ``run`` waits as ``retry_while_locked`` does."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """``connection`` comes from ``open_database``; it may be shared with other stores."""
        self._connection = connection

    async def run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` gives; raises what ``retry_while_locked`` raises."""
        return await retry_while_locked(lambda: work(self._connection))


def _locked(failure: sqlite3.Error) -> bool:
    """Whether it may pass; the primary code is the low byte of an extended one (SQLite, "Result and Error Codes")."""
    code: int | None = getattr(failure, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


DATABASE_FILE = "obscura.sqlite3"
OPEN_TIMEOUT_S = 5.0
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
    ttl_s INTEGER NOT NULL,
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
    place = ":memory:" if data_dir is None else data_dir / DATABASE_FILE
    try:
        if data_dir is not None:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(place, timeout=OPEN_TIMEOUT_S, autocommit=True, check_same_thread=False)
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
        f"Obscura's database ({DATABASE_FILE} in the data folder) cannot be used. Free its lock, or name another "
        "folder in OBSCURA_DATA_DIR.",
        retry_after_s=1,
    )


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; where two do so at once, SQLite refuses one without waiting for the lock."""
    deadline_s = monotonic() + OPEN_TIMEOUT_S
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
