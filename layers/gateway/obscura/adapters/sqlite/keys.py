"""API keys in SQLite."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from obscura.ports import ApiKey

_FIND = """
SELECT id, project, zero_retention, created_at, revoked_at FROM keys WHERE secret_sha256 = ? AND revoked_at IS NULL
"""
_ALL = "SELECT id, project, zero_retention, created_at, revoked_at FROM keys ORDER BY created_at, id"
_ADD = "INSERT INTO keys (id, secret_sha256, project, zero_retention, created_at) VALUES (?, ?, ?, ?, ?)"
_REVOKE = "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"


class SqliteKeys:
    """Keys under their digests. Each call is one indexed statement of microseconds, so none leaves the event loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """``connection`` comes from ``open_database``."""
        self._connection = connection

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Give the live key with this digest."""
        row = self._connection.execute(_FIND, (secret_sha256,)).fetchone()
        return _key(row) if row else None

    async def add(self, key: ApiKey, secret_sha256: bytes) -> None:
        """Store a new key."""
        created_at = key.created_at.isoformat()
        self._connection.execute(_ADD, (key.id, secret_sha256, key.project, int(key.zero_retention), created_at))

    async def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first."""
        return [_key(row) for row in self._connection.execute(_ALL)]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key."""
        return self._connection.execute(_REVOKE, (at.isoformat(), key_id)).rowcount == 1


def _key(row: tuple[str, str, int, str, str | None]) -> ApiKey:
    key_id, project, zero_retention, created_at, revoked_at = row
    return ApiKey(
        id=key_id,
        project=project,
        zero_retention=bool(zero_retention),
        created_at=datetime.fromisoformat(created_at),
        revoked_at=datetime.fromisoformat(revoked_at) if revoked_at else None,
    )
