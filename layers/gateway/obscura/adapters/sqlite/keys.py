"""API keys in SQLite."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from obscura.adapters.sqlite.patience import patiently
from obscura.ports import ApiKey

_COLUMNS = "id, project, zero_retention, created_at, revoked_at, scopes, requests_per_minute"
_FIND = f"SELECT {_COLUMNS} FROM keys WHERE secret_sha256 = ? AND revoked_at IS NULL"  # noqa: S608 our own names
_ALL = f"SELECT {_COLUMNS} FROM keys ORDER BY created_at, id"  # noqa: S608 our own names
_ADD = """
INSERT INTO keys (id, secret_sha256, project, zero_retention, created_at, scopes, requests_per_minute)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_REVOKE = "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"

type Row = tuple[str, str, int, str, str | None, str, int | None]


class SqliteKeys:
    """Keys under their digests. Each call is one indexed statement of microseconds, so none leaves the event loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """``connection`` comes from ``open_database``."""
        self._connection = connection

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Give the live key with this digest."""
        row = await patiently(lambda: self._connection.execute(_FIND, (secret_sha256,)).fetchone())
        return _key(row) if row else None

    async def add(self, key: ApiKey, secret_sha256: bytes) -> None:
        """Store a new key."""
        row = (
            key.id,
            secret_sha256,
            key.project,
            int(key.zero_retention),
            key.created_at.isoformat(),
            " ".join(sorted(key.scopes)),
            key.requests_per_minute,
        )
        await patiently(lambda: self._connection.execute(_ADD, row))

    async def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first."""
        return [_key(row) for row in await patiently(lambda: self._connection.execute(_ALL).fetchall())]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key."""
        revoked = await patiently(lambda: self._connection.execute(_REVOKE, (at.isoformat(), key_id)))
        return revoked.rowcount == 1


def _key(row: Row) -> ApiKey:
    key_id, project, zero_retention, created_at, revoked_at, scopes, requests_per_minute = row
    return ApiKey(
        id=key_id,
        project=project,
        zero_retention=bool(zero_retention),
        created_at=datetime.fromisoformat(created_at),
        revoked_at=datetime.fromisoformat(revoked_at) if revoked_at else None,
        scopes=frozenset(scopes.split()),
        requests_per_minute=requests_per_minute,
    )
