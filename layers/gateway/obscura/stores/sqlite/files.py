"""What is known of stored files, in SQLite; the bytes are elsewhere."""

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime

from obscura.files.base import MAX_PARTS, FileQuery, StoredFile, Upload, UploadStatus
from obscura.stores.sqlite.database import Database

_SELECT = "SELECT id, project, filename, purpose, media_type, size_bytes, created_at, expires_at FROM files "
_ADD = "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_EXPIRE = "UPDATE files SET expires_at = ? WHERE project = ? AND id = ? AND expires_at > ?"
_REMOVE = "DELETE FROM files WHERE project = ? AND id = ?"
_LIVE = "WHERE project = ? AND expires_at > ? AND (? IS NULL OR purpose = ?) AND "
_OLDEST_FIRST = _LIVE + "(? IS NULL OR id > ?) ORDER BY id LIMIT ?"
_NEWEST_FIRST = _LIVE + "(? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?"

EXPIRED_AT_ONCE = 100

type Row = tuple[str, str, str, str, str, int, int, int]


class SqliteFileRepository:
    """Files by project and id. Each call is one indexed statement of microseconds, so none leaves the event loop."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def add(self, file: StoredFile) -> None:
        """Take up a file."""
        *told, created_at, expires_at = astuple(file)
        row = (*told, int(created_at.timestamp()), int(expires_at.timestamp()))
        await self._database.run(lambda connection: connection.execute(_ADD, row))

    async def find(self, project: str, file_id: str) -> StoredFile | None:
        """Return a project's file."""
        files = await self._select("WHERE project = ? AND id = ?", project, file_id)
        return files[0] if files else None

    async def page(self, project: str, page: FileQuery, at: datetime) -> Sequence[StoredFile]:
        """Return a project's live files."""
        purpose, after = page.purpose, page.after
        asked = (project, at.timestamp(), purpose, purpose, after, after, page.limit)
        return await self._select(_NEWEST_FIRST if page.newest_first else _OLDEST_FIRST, *asked)

    async def expire(self, project: str, file_id: str, at: datetime) -> bool:
        """End a file's life."""
        asked = (int(at.timestamp()), project, file_id, at.timestamp())
        return await self._database.run(lambda connection: connection.execute(_EXPIRE, asked).rowcount == 1)

    async def remove(self, project: str, file_id: str) -> None:
        """Forget a file."""
        await self._database.run(lambda connection: connection.execute(_REMOVE, (project, file_id)))

    async def expired(self, project: str, at: datetime) -> Sequence[StoredFile]:
        """Return expired files of all projects."""
        return await self._select("WHERE expires_at <= ? LIMIT ?", at.timestamp(), EXPIRED_AT_ONCE)

    async def everywhere(self) -> Sequence[StoredFile]:
        """Every file, oldest first."""
        return await self._select("ORDER BY id")

    async def _select(self, clauses: str, *asked: str | float | None) -> list[StoredFile]:
        rows = await self._database.run(lambda connection: connection.execute(_SELECT + clauses, asked).fetchall())
        return [_file(row) for row in rows]


def _file(row: Row) -> StoredFile:
    file_id, project, filename, purpose, media_type, size_bytes, created_at, expires_at = row
    return StoredFile(
        id=file_id,
        project=project,
        filename=filename,
        purpose=purpose,
        media_type=media_type,
        size_bytes=size_bytes,
        created_at=datetime.fromtimestamp(created_at, UTC),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )


_SELECT_UPLOAD = """
SELECT id, project, filename, purpose, declared_bytes, ttl_s, created_at, expires_at, status, file_id FROM uploads
"""
_ADD_UPLOAD = "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FINISH_UPLOAD = """
UPDATE uploads SET status = ?, file_id = ? WHERE project = ? AND id = ? AND status = 'pending' AND expires_at > ?
"""
_ADD_PART = """
INSERT INTO parts SELECT uploads.id, :part_id, :size_bytes FROM uploads
WHERE uploads.project = :project AND uploads.id = :id AND status = 'pending' AND expires_at > :at
AND (SELECT count(*) < :most_parts AND coalesce(sum(size_bytes), 0) + :size_bytes <= :max_bytes
     FROM parts WHERE upload_id = :id)
"""
_REMOVE_UPLOAD = "DELETE FROM uploads WHERE project = ? AND id = ?"
_PARTS = "SELECT id, size_bytes FROM parts WHERE upload_id = ?"

EXPIRED_UPLOADS_AT_ONCE = 100

type UploadRow = tuple[str, str, str, str, int, int, int, int, UploadStatus, str | None]


class SqliteUploadRepository:
    """Uploads by project and id; each change is one statement, so its condition holds under any concurrency."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def add(self, upload: Upload) -> None:
        """Take up an upload."""
        instants = (int(upload.created_at.timestamp()), int(upload.expires_at.timestamp()))
        told = (upload.id, upload.project, upload.filename, upload.purpose, upload.declared_bytes, upload.ttl_s)
        row = (*told, *instants, upload.status, upload.file_id)
        await self._database.run(lambda connection: connection.execute(_ADD_UPLOAD, row))

    async def find(self, project: str, upload_id: str) -> Upload | None:
        """Return a project's upload."""
        uploads = await self._select("WHERE project = ? AND id = ?", project, upload_id)
        return uploads[0] if uploads else None

    async def add_part(self, upload: Upload, part_id: str, size_bytes: int, at: datetime) -> bool:
        """Add a part."""
        asked = {"id": upload.id, "project": upload.project, "part_id": part_id, "size_bytes": size_bytes}
        asked |= {"at": at.timestamp(), "most_parts": MAX_PARTS, "max_bytes": upload.max_bytes}
        return await self._database.run(lambda connection: connection.execute(_ADD_PART, asked).rowcount == 1)

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """End a pending upload."""
        asked = (status, file_id, upload.project, upload.id, at.timestamp())
        return await self._database.run(lambda connection: connection.execute(_FINISH_UPLOAD, asked).rowcount == 1)

    async def remove(self, project: str, upload_id: str) -> None:
        """Forget an upload and its parts."""
        await self._database.run(lambda connection: connection.execute(_REMOVE_UPLOAD, (project, upload_id)))

    async def expired(self, project: str, at: datetime) -> Sequence[Upload]:
        """Return expired uploads of all projects."""
        return await self._select("WHERE expires_at <= ? LIMIT ?", at.timestamp(), EXPIRED_UPLOADS_AT_ONCE)

    async def _select(self, clauses: str, *asked: str | float) -> list[Upload]:
        def select(connection: sqlite3.Connection) -> list[Upload]:
            return [_upload(row, connection) for row in connection.execute(_SELECT_UPLOAD + clauses, asked).fetchall()]

        return await self._database.run(select)


def _upload(row: UploadRow, connection: sqlite3.Connection) -> Upload:
    upload_id, project, filename, purpose, declared_bytes, ttl_s, created_at, expires_at, status, file_id = row
    return Upload(
        id=upload_id,
        project=project,
        filename=filename,
        purpose=purpose,
        declared_bytes=declared_bytes,
        ttl_s=ttl_s,
        created_at=datetime.fromtimestamp(created_at, UTC),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
        status=status,
        file_id=file_id,
        parts=dict(connection.execute(_PARTS, (upload_id,)).fetchall()),
    )
