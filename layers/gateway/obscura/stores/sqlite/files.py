"""Metadata of stored files and of uploads, in SQLite; their bytes are in the blob store."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from obscura.errors import StorageFull
from obscura.files.base import (
    MAX_PARTS,
    UNLIMITED,
    FileQuery,
    StorageLimits,
    StoredFile,
    Upload,
    UploadStatus,
)
from obscura.stores.sqlite.database import DISK_IS_FULL, Database, DatabaseFull
from obscura.stores.sqlite.storage import HAS_SPACE, select_usage

_SELECT = "SELECT id, project, filename, purpose, media_type, size_bytes, created_at, expires_at FROM files "
_INSERT = f"""
INSERT INTO files SELECT :id, :project, :filename, :purpose, :media_type, :counted_bytes, :created_at, :expires_at
WHERE {HAS_SPACE}
"""
_EXPIRE = "UPDATE files SET expires_at = ? WHERE project = ? AND id = ? AND expires_at > ?"
_DELETE = "DELETE FROM files WHERE project = ? AND id = ?"
_WHERE_ID = "WHERE project = ? AND id = ?"
_WHERE_EXPIRED = "WHERE expires_at <= ? ORDER BY expires_at, id LIMIT ? OFFSET ?"
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

    async def add(self, file: StoredFile, limits: StorageLimits = UNLIMITED) -> bool:
        """Insert a file."""
        parameters = {
            "id": file.id,
            "project": file.project,
            "filename": file.filename,
            "purpose": file.purpose,
            "media_type": file.media_type,
            "created_at": int(file.created_at.timestamp()),
            "expires_at": int(file.expires_at.timestamp()),
            **_space(file.size_bytes, limits),
        }
        return await _write_file(self._database, _INSERT, parameters)

    async def has_space(self, project: str, size_bytes: int, limits: StorageLimits, at: datetime) -> bool:
        """Whether a project may add a file of this size now."""
        usage = await self._database.run(lambda connection: select_usage(connection, project))
        return limits.allow(usage, size_bytes)

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

    async def expired(self, project: str, at: datetime, skip: int = 0) -> Sequence[StoredFile]:
        """Return expired files of all projects, without the first ``skip``."""
        return await self._select(_WHERE_EXPIRED, at.timestamp(), MAX_EXPIRED_AT_ONCE, skip)

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


async def _write_file(database: Database, statement: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether the statement changed a row; raises StorageFull if the disk has no space for it."""
    if database.is_short_of_disk():
        raise StorageFull(DISK_IS_FULL)
    try:
        return await database.run(lambda connection: connection.execute(statement, parameters).rowcount == 1)
    except DatabaseFull as full:
        raise StorageFull(full.message) from None


def _space(counted_bytes: int, limits: StorageLimits) -> dict[str, int]:
    """Return the parameters of ``HAS_SPACE``."""
    return {"counted_bytes": counted_bytes, "limit_bytes": limits.max_bytes, "limit_files": limits.max_files}


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
_INSERT_UPLOAD = f"""
INSERT INTO uploads SELECT :id, :project, :filename, :purpose, :declared_bytes, :ttl_s, :created_at, :expires_at,
:status, :file_id WHERE {HAS_SPACE}
"""
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

    async def add(self, upload: Upload, limits: StorageLimits = UNLIMITED) -> bool:
        """Insert an upload."""
        parameters = {
            "id": upload.id,
            "project": upload.project,
            "filename": upload.filename,
            "purpose": upload.purpose,
            "declared_bytes": upload.declared_bytes,
            "ttl_s": upload.ttl_s,
            "created_at": int(upload.created_at.timestamp()),
            "expires_at": int(upload.expires_at.timestamp()),
            "status": upload.status,
            "file_id": upload.file_id,
            **_space(upload.max_bytes, limits),
        }
        return await _write_file(self._database, _INSERT_UPLOAD, parameters)

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
        return await _write_file(self._database, _INSERT_PART, parameters)

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """Finish a pending upload."""
        parameters = (status, file_id, upload.project, upload.id, at.timestamp())
        return await self._database.run(lambda connection: connection.execute(_FINISH_UPLOAD, parameters).rowcount == 1)

    async def delete(self, project: str, upload_id: str) -> None:
        """Delete the metadata of an upload and of its parts."""
        await self._database.run(lambda connection: connection.execute(_DELETE_UPLOAD, (project, upload_id)))

    async def expired(self, project: str, at: datetime, skip: int = 0) -> Sequence[Upload]:
        """Return expired uploads of all projects, without the first ``skip``."""
        return await self._select(_WHERE_EXPIRED, at.timestamp(), MAX_EXPIRED_AT_ONCE, skip)

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
