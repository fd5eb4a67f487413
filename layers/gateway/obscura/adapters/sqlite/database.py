"""The one database file: how it is opened, and its tables."""

import sqlite3
from pathlib import Path

FILE_NAME = "obscura.sqlite3"
BUSY_TIMEOUT_S = 5.0

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    secret_sha256 BLOB NOT NULL UNIQUE,
    project TEXT NOT NULL,
    zero_retention INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;
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


def open_database(data_dir: Path | None) -> sqlite3.Connection:
    """Open, or make, the database below ``data_dir``; None gives one in memory that ends with the process.

    Write-ahead logging lets readers pass a writer in another process, so the command line works beside a server.
    """
    if data_dir is None:
        connection = sqlite3.connect(":memory:", autocommit=True, check_same_thread=False)
    else:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(
            data_dir / FILE_NAME, timeout=BUSY_TIMEOUT_S, autocommit=True, check_same_thread=False
        )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(_TABLES)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
