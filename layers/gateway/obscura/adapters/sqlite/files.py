"""What is known of stored files, in SQLite; the bytes are elsewhere."""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime

from obscura.adapters.sqlite.lazy_database import LazyDatabase
from obscura.ports import FilePage, StoredFile

_SELECT = "SELECT id, project, filename, purpose, media_type, size_bytes, created_at, expires_at FROM files "
_ADD = "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_EXPIRE = "UPDATE files SET expires_at = ? WHERE project = ? AND id = ? AND expires_at > ?"
_PAGE = """
WHERE project = :project AND expires_at > :at AND (:purpose IS NULL OR purpose = :purpose) AND {behind} ORDER BY id
"""
_OLDEST_FIRST = _SELECT + _PAGE.format(behind="id > coalesce(:after, '')") + "LIMIT :limit"
_NEWEST_FIRST = _SELECT + _PAGE.format(behind="(:after IS NULL OR id < :after)") + "DESC LIMIT :limit"

EXPIRED_AT_ONCE = 100

type Row = tuple[str, str, str, str, str, int, int, int]


class SqliteFiles:
    """Files by project and id. Each call is one indexed statement of microseconds, so none leaves the event loop."""

    def __init__(self, database: LazyDatabase) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def add(self, file: StoredFile) -> None:
        """Take up a file."""
        *told, created_at, expires_at = astuple(file)
        with self._database.opened() as connection:
            connection.execute(_ADD, (*told, int(created_at.timestamp()), int(expires_at.timestamp())))

    async def find(self, project: str, file_id: str) -> StoredFile | None:
        """Give a project's file."""
        with self._database.opened() as connection:
            row = connection.execute(_SELECT + "WHERE project = ? AND id = ?", (project, file_id)).fetchone()
        return _file(row) if row else None

    async def page(self, project: str, page: FilePage, at: datetime) -> Sequence[StoredFile]:
        """Give a project's live files."""
        asked = {"project": project, "at": at.timestamp(), "purpose": page.purpose}
        asked |= {"after": page.after, "limit": page.limit}
        statement = _NEWEST_FIRST if page.newest_first else _OLDEST_FIRST
        with self._database.opened() as connection:
            return [_file(row) for row in connection.execute(statement, asked)]

    async def expire(self, project: str, file_id: str, at: datetime) -> bool:
        """End a file's life."""
        with self._database.opened() as connection:
            ended = connection.execute(_EXPIRE, (int(at.timestamp()), project, file_id, at.timestamp()))
            return ended.rowcount == 1

    async def remove(self, project: str, file_id: str) -> None:
        """Forget a file."""
        with self._database.opened() as connection:
            connection.execute("DELETE FROM files WHERE project = ? AND id = ?", (project, file_id))

    async def expired(self, project: str, at: datetime) -> Sequence[StoredFile]:
        """Give expired files of all projects."""
        with self._database.opened() as connection:
            asked = (at.timestamp(), EXPIRED_AT_ONCE)
            return [_file(row) for row in connection.execute(_SELECT + "WHERE expires_at <= ? LIMIT ?", asked)]

    async def everywhere(self) -> Sequence[StoredFile]:
        """Every file, oldest first."""
        with self._database.opened() as connection:
            return [_file(row) for row in connection.execute(_SELECT + "ORDER BY id")]


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
