"""What each project has stored, in SQLite: a row that triggers keep, so that every change of a file counts at once."""

import sqlite3

from obscura.files.base import StorageUsage

# The usage is exact after any statement, of an older version of Obscura too. The last file of a project takes its row.
_CREATE = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS storage (
    project TEXT PRIMARY KEY,
    stored_bytes INTEGER NOT NULL,
    files INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
DELETE FROM storage;
INSERT INTO storage SELECT project, sum(size_bytes), count(*) FROM (
    SELECT project, size_bytes FROM files
    UNION ALL SELECT project, 2 * declared_bytes FROM uploads WHERE status = 'pending'
) GROUP BY project;
CREATE TRIGGER IF NOT EXISTS storage_of_file_added AFTER INSERT ON files BEGIN
    INSERT INTO storage VALUES (NEW.project, NEW.size_bytes, 1) ON CONFLICT (project)
    DO UPDATE SET stored_bytes = stored_bytes + NEW.size_bytes, files = files + 1;
END;
CREATE TRIGGER IF NOT EXISTS storage_of_file_deleted AFTER DELETE ON files BEGIN
    UPDATE storage SET stored_bytes = stored_bytes - OLD.size_bytes, files = files - 1 WHERE project = OLD.project;
    DELETE FROM storage WHERE project = OLD.project AND files = 0;
END;
CREATE TRIGGER IF NOT EXISTS storage_of_upload_added AFTER INSERT ON uploads WHEN NEW.status = 'pending' BEGIN
    INSERT INTO storage VALUES (NEW.project, 2 * NEW.declared_bytes, 1) ON CONFLICT (project)
    DO UPDATE SET stored_bytes = stored_bytes + 2 * NEW.declared_bytes, files = files + 1;
END;
CREATE TRIGGER IF NOT EXISTS storage_of_upload_finished AFTER UPDATE OF status ON uploads
WHEN OLD.status = 'pending' AND NEW.status <> 'pending' BEGIN
    UPDATE storage SET stored_bytes = stored_bytes - 2 * OLD.declared_bytes, files = files - 1
    WHERE project = OLD.project;
    DELETE FROM storage WHERE project = OLD.project AND files = 0;
END;
CREATE TRIGGER IF NOT EXISTS storage_of_upload_deleted AFTER DELETE ON uploads WHEN OLD.status = 'pending' BEGIN
    UPDATE storage SET stored_bytes = stored_bytes - 2 * OLD.declared_bytes, files = files - 1
    WHERE project = OLD.project;
    DELETE FROM storage WHERE project = OLD.project AND files = 0;
END;
COMMIT;
"""
_LAST_TRIGGER = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = 'storage_of_upload_deleted'"
_SELECT = "SELECT stored_bytes, files FROM storage WHERE project = ?"

HAS_SPACE = """
NOT EXISTS (SELECT 1 FROM storage WHERE project = :project
            AND (stored_bytes + :counted_bytes > :limit_bytes OR files >= :limit_files))
AND :counted_bytes <= :limit_bytes AND :limit_files > 0
"""
"""A condition of the statement that adds a file or an upload: one statement, so it holds under any concurrency."""


def create_usage(connection: sqlite3.Connection) -> None:
    """Count what is stored already, once, and keep the count from then on."""
    if connection.execute(_LAST_TRIGGER).fetchone() is None:
        connection.executescript(_CREATE)


def select_usage(connection: sqlite3.Connection, project: str) -> StorageUsage:
    """Return what counts against a project's limits."""
    row: tuple[int, int] | None = connection.execute(_SELECT, (project,)).fetchone()
    return StorageUsage(*row) if row else StorageUsage()
