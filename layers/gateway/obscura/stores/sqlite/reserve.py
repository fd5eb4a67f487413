"""Space on the disk that a database keeps: a full disk stops files, and neither requests nor deletes (ADR 79).

SQLite's write-ahead log starts again at its beginning after a checkpoint, and pages of deleted rows are used again: a
file and a log that once had so many bytes more need no new block of the disk for them (SQLite, "Write-Ahead Logging"
§3, "Database File Format" §1.5).
"""

import sqlite3
from pathlib import Path

_CREATE = "CREATE TABLE IF NOT EXISTS reserve (filler BLOB) STRICT"


def keep_reserve(connection: sqlite3.Connection, path: Path, reserve_bytes: int) -> None:
    """Extend the database at ``path`` and its log by ``reserve_bytes``, unless they have as much space already.

    On a full disk it raises SQLITE_FULL, unless a server that runs on the same file holds the log.
    """
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size >= reserve_bytes
    if has_log and _free_bytes(connection) >= reserve_bytes:
        return
    try:
        connection.execute(_CREATE)
        connection.execute("INSERT INTO reserve VALUES (zeroblob(?))", (reserve_bytes,))
        connection.execute("DELETE FROM reserve")
        restart_log(connection)
    except sqlite3.OperationalError as error:
        if not has_log or error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise


def restart_log(connection: sqlite3.Connection) -> None:
    """Write the log into the database, so that it starts again in the space that it has; nothing if it is in use."""
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()


def _free_bytes(connection: sqlite3.Connection) -> int:
    free_pages: int
    page_bytes: int
    (free_pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return free_pages * page_bytes
