"""Metadata of stored files and of uploads, in SQLite; their bytes are in the blob store."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from obscura.files.base import MAX_PARTS, FileQuery, StoredFile, Upload, UploadStatus
from obscura.stores.sqlite.database import Database

_SELECT = "SELECT id, project, filename, purpose, media_type, size_bytes, created_at, expires_at FROM files "
_INSERT = "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_EXPIRE = "UPDATE files SET expires_at = ? WHERE project = ? AND id = ? AND expires_at > ?"
_DELETE = "DELETE FROM files WHERE project = ? AND id = ?"
_WHERE_ID = "WHERE project = ? AND id = ?"
_WHERE_EXPIRED = "WHERE expires_at <= ? LIMIT ?"
_WHERE_LIVE = "WHERE project = ? AND expires_at > ? AND (? IS NULL OR purpose = ?) AND "
_OLDEST_FIRST = _WHERE_LIVE + "(? IS NULL OR id > ?) ORDER BY id LIMIT ?"
_NEWEST_FIRST = _WHERE_LIVE + "(? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?"

MAX_EXPIRED_AT_ONCE = 100

type Row = tuple[str, str, str, str, str, int, int, int]


class SqliteFileRepository:
    """Files by project and id."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def add(self, file: StoredFile) -> None:
        """Insert a file."""
        row = (
            file.id,
            file.project,
            file.filename,
            file.purpose,
            file.media_type,
            file.size_bytes,
            int(file.created_at.timestamp()),
            int(file.expires_at.timestamp()),
        )
        await self._database.run(lambda connection: connection.execute(_INSERT, row))

    async def find(self, project: str, file_id: str) -> StoredFile | None:
        """Return a project's file."""
        files = await self._select(_WHERE_ID, project, file_id)
        return files[0] if files else None

    async def expire(self, project: str, file_id: str, at: datetime) -> bool:
        """Expire a file."""
        parameters = (int(at.timestamp()), project, file_id, at.timestamp())
        return await self._database.run(lambda connection: connection.execute(_EXPIRE, parameters).rowcount == 1)

    async def delete(self, project: str, file_id: str) -> None:
        """Delete a file's metadata."""
        await self._database.run(lambda connection: connection.execute(_DELETE, (project, file_id)))

    async def expired(self, project: str, at: datetime) -> Sequence[StoredFile]:
        """Return expired files of all projects."""
        return await self._select(_WHERE_EXPIRED, at.timestamp(), MAX_EXPIRED_AT_ONCE)

    async def list(self, project: str, query: FileQuery, at: datetime) -> Sequence[StoredFile]:
        """Return a project's live files."""
        purpose, after = query.purpose, query.after
        parameters = (project, at.timestamp(), purpose, purpose, after, after, query.limit)
        return await self._select(_NEWEST_FIRST if query.newest_first else _OLDEST_FIRST, *parameters)

    async def list_all(self) -> Sequence[StoredFile]:
        """Return every file, oldest first."""
        return await self._select("ORDER BY id")

    async def _select(self, clauses: str, *parameters: str | float | None) -> Sequence[StoredFile]:
        rows = await self._database.run(lambda connection: connection.execute(_SELECT + clauses, parameters).fetchall())
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
SELECT id, project, filename, purpose, declared_bytes, lifetime_s, created_at, expires_at, status, file_id FROM uploads
"""
_INSERT_UPLOAD = "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FINISH_UPLOAD = """
UPDATE uploads SET status = ?, file_id = ? WHERE project = ? AND id = ? AND status = 'pending' AND expires_at > ?
"""
_INSERT_PART = """
INSERT INTO parts SELECT uploads.id, :part_id, :size_bytes FROM uploads
WHERE uploads.project = :project AND uploads.id = :id AND status = 'pending' AND expires_at > :at
AND (SELECT count(*) < :max_parts AND coalesce(sum(size_bytes), 0) + :size_bytes <= :max_bytes
     FROM parts WHERE upload_id = :id)
"""
_DELETE_UPLOAD = "DELETE FROM uploads WHERE project = ? AND id = ?"
_SELECT_PARTS = "SELECT id, size_bytes FROM parts WHERE upload_id = ?"

type UploadRow = tuple[str, str, str, str, int, int, int, int, UploadStatus, str | None]


class SqliteUploadRepository:
    """Uploads by project and id; each change is one statement, so its condition holds under any concurrency."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def add(self, upload: Upload) -> None:
        """Insert an upload."""
        row = (
            upload.id,
            upload.project,
            upload.filename,
            upload.purpose,
            upload.declared_bytes,
            upload.ttl_s,
            int(upload.created_at.timestamp()),
            int(upload.expires_at.timestamp()),
            upload.status,
            upload.file_id,
        )
        await self._database.run(lambda connection: connection.execute(_INSERT_UPLOAD, row))

    async def find(self, project: str, upload_id: str) -> Upload | None:
        """Return a project's upload."""
        uploads = await self._select(_WHERE_ID, project, upload_id)
        return uploads[0] if uploads else None

    async def add_part(self, upload: Upload, part_id: str, size_bytes: int, at: datetime) -> bool:
        """Add a part."""
        parameters = {
            "id": upload.id,
            "project": upload.project,
            "part_id": part_id,
            "size_bytes": size_bytes,
            "at": at.timestamp(),
            "max_parts": MAX_PARTS,
            "max_bytes": upload.max_bytes,
        }
        return await self._database.run(lambda connection: connection.execute(_INSERT_PART, parameters).rowcount == 1)

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """Finish a pending upload."""
        parameters = (status, file_id, upload.project, upload.id, at.timestamp())
        return await self._database.run(lambda connection: connection.execute(_FINISH_UPLOAD, parameters).rowcount == 1)

    async def delete(self, project: str, upload_id: str) -> None:
        """Delete the metadata of an upload and of its parts."""
        await self._database.run(lambda connection: connection.execute(_DELETE_UPLOAD, (project, upload_id)))

    async def expired(self, project: str, at: datetime) -> Sequence[Upload]:
        """Return expired uploads of all projects."""
        return await self._select(_WHERE_EXPIRED, at.timestamp(), MAX_EXPIRED_AT_ONCE)

    async def _select(self, clauses: str, *parameters: str | float) -> Sequence[Upload]:
        def select(connection: sqlite3.Connection) -> list[Upload]:
            rows = connection.execute(_SELECT_UPLOAD + clauses, parameters).fetchall()
            return [_upload(row, connection) for row in rows]

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
        parts=dict(connection.execute(_SELECT_PARTS, (upload_id,)).fetchall()),
    )
