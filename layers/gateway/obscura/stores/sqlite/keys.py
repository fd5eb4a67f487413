"""API keys in SQLite, and the address secret in a file."""

import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from obscura.auth.base import ApiKey
from obscura.errors import StoreUnavailable
from obscura.stores.sqlite.database import Database
from obscura.usage.base import format_budgets, parse_budgets

_COLUMNS = (
    "id, project, zero_retention, created_at, revoked_at, scopes, requests_per_minute, max_storage_bytes, max_files, "
    "shards, budgets"
)
_SELECT_LIVE = f"SELECT {_COLUMNS} FROM keys WHERE secret_sha256 = ? AND revoked_at IS NULL"  # noqa: S608 our own names
_SELECT_ALL = f"SELECT {_COLUMNS} FROM keys ORDER BY created_at, id"  # noqa: S608 our own names
_INSERT = """
INSERT INTO keys (
    id, secret_sha256, project, zero_retention, created_at, scopes, requests_per_minute, max_storage_bytes, max_files,
    shards, budgets
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_REVOKE = "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"

type Row = tuple[str, str, int, str, str | None, str, int | None, int | None, int | None, int, str]


class SqliteKeyStore:
    """Keys by their digests."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Return the live key with this digest."""
        row = await self._database.run(lambda connection: connection.execute(_SELECT_LIVE, (secret_sha256,)).fetchone())
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
            key.max_storage_bytes,
            key.max_files,
            key.shards,
            format_budgets(key.budgets),
        )
        await self._database.run(lambda connection: connection.execute(_INSERT, row))

    async def list_all(self) -> Sequence[ApiKey]:
        """Return every key, oldest first."""
        rows = await self._database.run(lambda connection: connection.execute(_SELECT_ALL).fetchall())
        return [_key(row) for row in rows]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key."""
        parameters = (at.isoformat(), key_id)
        return await self._database.run(lambda connection: connection.execute(_REVOKE, parameters).rowcount == 1)


def _key(row: Row) -> ApiKey:
    (
        key_id,
        project,
        zero_retention,
        created_at,
        revoked_at,
        scopes,
        requests_per_minute,
        max_storage_bytes,
        max_files,
        shards,
        budgets,
    ) = row
    return ApiKey(
        id=key_id,
        project=project,
        zero_retention=bool(zero_retention),
        created_at=datetime.fromisoformat(created_at),
        revoked_at=datetime.fromisoformat(revoked_at) if revoked_at else None,
        scopes=frozenset(scopes.split()),
        requests_per_minute=requests_per_minute,
        max_storage_bytes=max_storage_bytes,
        max_files=max_files,
        shards=shards,
        budgets=parse_budgets(budgets),
    )


SECRET_FILE = "address-secret"
SECRET_BYTES = 32


class FileAddressSecret:
    """The secret of the settings, or else the one in a file below ``data_dir``, created at its first use."""

    def __init__(self, data_dir: Path, given: bytes | None = None) -> None:
        """Nothing is read or created yet; ``given`` is the secret of the settings."""
        self._data_dir = data_dir
        self._secret = given

    async def read(self) -> bytes:
        """Return the secret."""
        if self._secret is None:
            try:
                self._secret = load_or_create_secret(self._data_dir)
            except OSError:
                raise StoreUnavailable(
                    "The free tier is not ready here: its secret cannot be written to the data folder.",
                    retry_after_s=60,
                ) from None
        return self._secret


def load_or_create_secret(data_dir: Path) -> bytes:
    """Return the secret in the file below ``data_dir``, created at the first call.

    It is written whole under another name and then linked: of several processes that start at once, one creates it
    and the others read it.
    """
    path = data_dir / SECRET_FILE
    if not path.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = secrets.token_bytes(SECRET_BYTES)
        draft = data_dir / f"{SECRET_FILE}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secret)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
