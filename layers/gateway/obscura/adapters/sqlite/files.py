"""What is known of stored files, in SQLite; the bytes are elsewhere."""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime

from obscura.adapters.sqlite.patience import PatientDatabase
from obscura.ports import FilePage, StoredFile

_SELECT = "SELECT id, project, filename, purpose, media_type, size_bytes, created_at, expires_at FROM files "
_ADD = "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_EXPIRE = "UPDATE files SET expires_at = ? WHERE project = ? AND id = ? AND expires_at > ?"
_REMOVE = "DELETE FROM files WHERE project = ? AND id = ?"
_LIVE = "WHERE project = ? AND expires_at > ? AND (? IS NULL OR purpose = ?) AND "
_OLDEST_FIRST = _LIVE + "(? IS NULL OR id > ?) ORDER BY id LIMIT ?"
_NEWEST_FIRST = _LIVE + "(? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?"

EXPIRED_AT_ONCE = 100

type Row = tuple[str, str, str, str, str, int, int, int]


class SqliteFiles:
    """Files by project and id. Each call is one indexed statement of microseconds, so none leaves the event loop."""

    def __init__(self, database: PatientDatabase) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def add(self, file: StoredFile) -> None:
        """Take up a file."""
        *told, created_at, expires_at = astuple(file)
        row = (*told, int(created_at.timestamp()), int(expires_at.timestamp()))
        await self._database.run(lambda connection: connection.execute(_ADD, row))

    async def find(self, project: str, file_id: str) -> StoredFile | None:
        """Give a project's file."""
        files = await self._select("WHERE project = ? AND id = ?", project, file_id)
        return files[0] if files else None

    async def page(self, project: str, page: FilePage, at: datetime) -> Sequence[StoredFile]:
        """Give a project's live files."""
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
        """Give expired files of all projects."""
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
