"""Uploads under way, in SQLite; their parts' bytes are elsewhere."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from obscura.adapters.sqlite.patience import PatientDatabase
from obscura.ports import MOST_PARTS, Upload, UploadStatus

_SELECT = """
SELECT id, project, filename, purpose, declared_bytes, lifetime_s, created_at, expires_at, status, file_id FROM uploads
"""
_ADD = "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FINISH = """
UPDATE uploads SET status = ?, file_id = ? WHERE project = ? AND id = ? AND status = 'pending' AND expires_at > ?
"""
_ADD_PART = """
INSERT INTO parts SELECT uploads.id, :part_id, :size_bytes FROM uploads
WHERE uploads.project = :project AND uploads.id = :id AND status = 'pending' AND expires_at > :at
AND (SELECT count(*) < :most_parts AND coalesce(sum(size_bytes), 0) + :size_bytes <= :most_bytes
     FROM parts WHERE upload_id = :id)
"""
_REMOVE = "DELETE FROM uploads WHERE project = ? AND id = ?"
_PARTS = "SELECT id, size_bytes FROM parts WHERE upload_id = ?"

EXPIRED_AT_ONCE = 100

type Row = tuple[str, str, str, str, int, int, int, int, UploadStatus, str | None]


class SqliteUploads:
    """Uploads by project and id; each change is one statement, so its condition holds under any concurrency."""

    def __init__(self, database: PatientDatabase) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def add(self, upload: Upload) -> None:
        """Take up an upload."""
        instants = (int(upload.created_at.timestamp()), int(upload.expires_at.timestamp()))
        told = (upload.id, upload.project, upload.filename, upload.purpose, upload.declared_bytes, upload.lifetime_s)
        row = (*told, *instants, upload.status, upload.file_id)
        await self._database.run(lambda connection: connection.execute(_ADD, row))

    async def find(self, project: str, upload_id: str) -> Upload | None:
        """Give a project's upload."""
        uploads = await self._select("WHERE project = ? AND id = ?", project, upload_id)
        return uploads[0] if uploads else None

    async def add_part(self, upload: Upload, part_id: str, size_bytes: int, at: datetime) -> bool:
        """Add a part."""
        asked = {"id": upload.id, "project": upload.project, "part_id": part_id, "size_bytes": size_bytes}
        asked |= {"at": at.timestamp(), "most_parts": MOST_PARTS, "most_bytes": upload.most_bytes}
        return await self._database.run(lambda connection: connection.execute(_ADD_PART, asked).rowcount == 1)

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """End a pending upload."""
        asked = (status, file_id, upload.project, upload.id, at.timestamp())
        return await self._database.run(lambda connection: connection.execute(_FINISH, asked).rowcount == 1)

    async def remove(self, project: str, upload_id: str) -> None:
        """Forget an upload and its parts."""
        await self._database.run(lambda connection: connection.execute(_REMOVE, (project, upload_id)))

    async def expired(self, project: str, at: datetime) -> Sequence[Upload]:
        """Give expired uploads of all projects."""
        return await self._select("WHERE expires_at <= ? LIMIT ?", at.timestamp(), EXPIRED_AT_ONCE)

    async def _select(self, clauses: str, *asked: str | float) -> list[Upload]:
        def select(connection: sqlite3.Connection) -> list[Upload]:
            return [_upload(row, connection) for row in connection.execute(_SELECT + clauses, asked).fetchall()]

        return await self._database.run(select)


def _upload(row: Row, connection: sqlite3.Connection) -> Upload:
    upload_id, project, filename, purpose, declared_bytes, lifetime_s, created_at, expires_at, status, file_id = row
    return Upload(
        id=upload_id,
        project=project,
        filename=filename,
        purpose=purpose,
        declared_bytes=declared_bytes,
        lifetime_s=lifetime_s,
        created_at=datetime.fromtimestamp(created_at, UTC),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
        status=status,
        file_id=file_id,
        parts=dict(connection.execute(_PARTS, (upload_id,)).fetchall()),
    )
