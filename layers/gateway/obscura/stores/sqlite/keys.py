"""API keys in SQLite."""

import os
import secrets
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from obscura.auth.base import ApiKey
from obscura.stores.sqlite.database import retry_while_locked

_COLUMNS = "id, project, zero_retention, created_at, revoked_at, scopes, requests_per_minute"
_FIND = f"SELECT {_COLUMNS} FROM keys WHERE secret_sha256 = ? AND revoked_at IS NULL"  # noqa: S608 our own names
_ALL = f"SELECT {_COLUMNS} FROM keys ORDER BY created_at, id"  # noqa: S608 our own names
_ADD = """
INSERT INTO keys (id, secret_sha256, project, zero_retention, created_at, scopes, requests_per_minute)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_REVOKE = "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"

type Row = tuple[str, str, int, str, str | None, str, int | None]


class SqliteKeyStore:
    """Keys under their digests. Each call is one indexed statement of microseconds, so none leaves the event loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """``connection`` comes from ``open_database``."""
        self._connection = connection

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Return the live key with this digest."""
        row = await retry_while_locked(lambda: self._connection.execute(_FIND, (secret_sha256,)).fetchone())
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
        await retry_while_locked(lambda: self._connection.execute(_ADD, row))

    async def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first."""
        return [_key(row) for row in await retry_while_locked(lambda: self._connection.execute(_ALL).fetchall())]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key."""
        revoked = await retry_while_locked(lambda: self._connection.execute(_REVOKE, (at.isoformat(), key_id)))
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


SECRET_FILE = "address-secret"
SECRET_BYTES = 32


class FileAddressSecret:
    """The secret of the settings, or else the one that is kept below ``data_dir`` from its first use on."""

    def __init__(self, data_dir: Path, given: bytes | None = None) -> None:
        """Nothing is read or made yet."""
        self._data_dir = data_dir
        self._secret = given

    async def read(self) -> bytes:
        """Return the secret."""
        if self._secret is None:
            self._secret = load_or_create_secret(self._data_dir)
        return self._secret


def load_or_create_secret(data_dir: Path) -> bytes:
    """Return the secret kept below ``data_dir``, made at the first call.

    It is written whole under another name and linked into place, so that of several processes that start at once one
    makes it and the others find it.
    """
    place = data_dir / SECRET_FILE
    if not place.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = secrets.token_bytes(SECRET_BYTES)
        draft = data_dir / f"{SECRET_FILE}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, made)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            place.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return place.read_bytes()
