"""Space on the disk that a database keeps: a full disk stops files, and neither requests nor deletes (ADR 79).

SQLite's write-ahead log starts again at its beginning after a checkpoint, what follows its last frame is passed over,
and pages of deleted rows are used again (SQLite, "Write-Ahead Logging" §3, "WAL-mode File Format" §4.1, "Database File
Format" §1.5). So blocks that both files have once are enough: no later write needs another one.
"""

import os
import sqlite3
from pathlib import Path

_CREATE = "CREATE TABLE IF NOT EXISTS reserve (filler BLOB) STRICT"


def keep_log(path: Path, reserve_bytes: int) -> None:
    """Extend the log of the open database at ``path`` to ``reserve_bytes``, with zeros; raises OSError."""
    log = os.open(path.with_name(f"{path.name}-wal"), os.O_WRONLY)
    try:
        size_bytes = os.fstat(log).st_size
        if size_bytes >= reserve_bytes:
            return
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(log, 0, reserve_bytes)
        else:
            os.pwrite(log, bytes(reserve_bytes - size_bytes), size_bytes)
    finally:
        os.close(log)


def keep_pages(connection: sqlite3.Connection, reserve_bytes: int) -> None:
    """Add free pages to a database that has few pages: once in its life, since only its own rows use them."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    if pages * page_bytes >= reserve_bytes:
        return
    connection.execute(_CREATE)
    connection.execute("INSERT INTO reserve VALUES (zeroblob(?))", (reserve_bytes,))
    connection.execute("DELETE FROM reserve")
    restart_log(connection)


def restart_log(connection: sqlite3.Connection) -> None:
    """Write the log into the database, so that it starts again in the space that it has; nothing if it is in use."""
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
