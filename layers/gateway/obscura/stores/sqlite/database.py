"""The SQLite database: its tables, and statements that wait for a lock without blocking the event loop."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from time import monotonic, sleep

from obscura.errors import StoreUnavailable
from obscura.stores.disk import disk_is_full, is_full, unusable_folder
from obscura.stores.sqlite.counters_file import COUNTERS_FILE, move_former_counters, set_up_counters
from obscura.stores.sqlite.reserve import keep_log, restart_log
from obscura.stores.sqlite.storage import create_usage

DATABASE_FILE = "obscura.sqlite3"
OPEN_TIMEOUT_S = 5.0
OPEN_PAUSE_S = 0.01
MAX_LOCK_WAIT_S = 2.0
LOG_BYTES = 1024 * 1024
"""For files that are deleted and keys that are revoked on a full disk."""

SHORT_OF_DISK_BYTES = 4 * 1024 * 1024

FIRST_PAUSE_S = 0.002
MAX_PAUSE_S = 0.05

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    secret_sha256 BLOB NOT NULL UNIQUE,
    project TEXT NOT NULL,
    zero_retention INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT,
    scopes TEXT NOT NULL DEFAULT '',
    requests_per_minute INTEGER,
    max_storage_bytes INTEGER,
    max_files INTEGER,
    shards INTEGER NOT NULL DEFAULT 1,
    budgets TEXT NOT NULL DEFAULT ''
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
CREATE TABLE IF NOT EXISTS usage (
    day TEXT NOT NULL,
    subject TEXT NOT NULL,
    model TEXT NOT NULL,
    project TEXT NOT NULL,
    requests INTEGER NOT NULL,
    images INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    image_tokens INTEGER NOT NULL,
    cost_microusd INTEGER NOT NULL,
    PRIMARY KEY (day, subject, model)
) STRICT, WITHOUT ROWID;
"""
_ADDED_COLUMNS = {
    "scopes": "TEXT NOT NULL DEFAULT ''",
    "requests_per_minute": "INTEGER",
    "max_storage_bytes": "INTEGER",
    "max_files": "INTEGER",
    "shards": "INTEGER NOT NULL DEFAULT 1",
    "budgets": "TEXT NOT NULL DEFAULT ''",
}
"""Columns of ``keys`` that a database of an earlier version lacks."""


DISK_IS_FULL = "The disk of Obscura's data folder is full. Not your fault: the operator must look into it."


class DatabaseFull(StoreUnavailable):
    """The disk has no space for a write."""


class Database:
    """One connection that never waits for a lock by itself; it may be shared by several stores."""

    def __init__(
        self, connection: sqlite3.Connection, counters: "Database | None" = None, folder: Path | None = None
    ) -> None:
        """``open_database`` makes the connection; ``counters`` is the database of the counters, if that is another."""
        self.connection = connection
        self.counters = counters or self
        self._folder = folder

    def is_short_of_disk(self) -> bool:
        """Whether what can wait should not be written: the reserve is for deleting files and revoking keys."""
        if self._folder is None:
            return False
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return True
        return disk.f_bavail * disk.f_frsize < SHORT_OF_DISK_BYTES

    async def run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` returns, called again while another process holds the lock.

        ``work`` is one statement or one transaction, which takes microseconds: it runs on the event loop. Raises
        StoreUnavailable if the lock is not free within ``MAX_LOCK_WAIT_S``, or the file cannot be used at all; a
        statement that breaks a constraint raises sqlite3.IntegrityError.
        """
        deadline_s: float | None = None
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return work(self.connection)
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                    return self._run_on_full_disk(work)
                deadline_s = deadline_s or monotonic() + MAX_LOCK_WAIT_S
                if not _is_locked(error) or monotonic() > deadline_s:
                    raise _unavailable() from None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def _run_on_full_disk[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` returns in the space that the log has once it starts again; raises DatabaseFull."""
        try:
            restart_log(self.connection)
            return work(self.connection)
        except sqlite3.Error:
            raise DatabaseFull(DISK_IS_FULL, retry_after_s=60) from None

    def close(self) -> None:
        """Close the connection, and that of the counters."""
        if self.counters is not self:
            self.counters.close()
        self.connection.close()


def _is_locked(error: sqlite3.Error) -> bool:
    """Whether it is a lock; the primary code is the low byte of an extended one (SQLite, "Result and Error Codes")."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("Obscura's store cannot be used. Try again in a moment.", retry_after_s=1)


def open_database(data_dir: Path | None) -> Database:
    """Open or create the databases below ``data_dir``; None opens them in memory, where they end with the process.

    Write-ahead logging lets readers and a writer in another process work at once, so that the command line works
    while a server runs. Raises StoreUnavailable if the folder or a file cannot be used.
    """
    if data_dir is not None:
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(data_dir, error) from None
    with ExitStack() as opened:
        main = opened.enter_context(closing(_connect(data_dir, DATABASE_FILE)))
        counters = opened.enter_context(closing(_connect(data_dir, COUNTERS_FILE)))
        try:
            _set_up(main)
            if data_dir is not None:
                keep_log(data_dir / DATABASE_FILE, LOG_BYTES)
            _enable_write_ahead_log(counters)
            set_up_counters(counters, data_dir and data_dir / COUNTERS_FILE)
            move_former_counters(main, counters)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(data_dir, error) from None
        # From here on a locked database raises at once, since a statement that waited would block the event loop.
        for connection in (main, counters):
            connection.execute("PRAGMA busy_timeout = 0")
        opened.pop_all()
    return Database(main, Database(counters), data_dir)


def _connect(data_dir: Path | None, name: str) -> sqlite3.Connection:
    path = ":memory:" if data_dir is None else data_dir / name
    try:
        return sqlite3.connect(path, timeout=OPEN_TIMEOUT_S, autocommit=True, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unusable(data_dir, error) from None


def _unusable(data_dir: Path | None, error: Exception) -> StoreUnavailable:
    """Return the error of a data folder that cannot be used, which says what is wrong with it."""
    if data_dir is not None:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or is_full(error)
        if reason := disk_is_full(data_dir) if full else unusable_folder(data_dir):
            return StoreUnavailable(reason, retry_after_s=1)
    return StoreUnavailable(
        f"Obscura's database ({DATABASE_FILE} in the data folder) cannot be used: {error}. Free its lock, or name "
        "another folder in OBSCURA_DATA_DIR.",
        retry_after_s=1,
    )


def _set_up(connection: sqlite3.Connection) -> None:
    _enable_write_ahead_log(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(_TABLES)
    if _missing_columns(connection):
        _add_missing_columns(connection)
    create_usage(connection)


def _enable_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; if two processes do so at once, SQLite fails in one without its timeout."""
    deadline_s = monotonic() + OPEN_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            if monotonic() > deadline_s:
                raise
            sleep(OPEN_PAUSE_S)
    connection.execute("PRAGMA synchronous = NORMAL")


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    present = {name for _, name, *_ in connection.execute("PRAGMA table_info(keys)")}
    return [column for column in _ADDED_COLUMNS if column not in present]


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Check again under the lock: another process may have added them."""
    connection.execute("BEGIN IMMEDIATE")
    for column in _missing_columns(connection):
        connection.execute(f"ALTER TABLE keys ADD COLUMN {column} {_ADDED_COLUMNS[column]}")
    connection.execute("COMMIT")


def in_transaction[T](connection: sqlite3.Connection, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, done whole or not at all: the first writer holds the lock until it commits."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
