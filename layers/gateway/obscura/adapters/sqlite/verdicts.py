"""Clean verdicts in SQLite."""

import sqlite3
from datetime import datetime

from obscura.adapters.sqlite.patience import PatientDatabase

_FIND = "SELECT 1 FROM verdicts WHERE digest = ? AND expires_at > ?"
_REMEMBER = "INSERT OR REPLACE INTO verdicts VALUES (?, ?)"


class SqliteVerdicts:
    """Digests of clean pictures; each new one takes expired ones away."""

    def __init__(self, database: PatientDatabase) -> None:
        """``database`` may be shared with other stores."""
        self._database = database

    async def is_clean(self, digest: bytes, at: datetime) -> bool:
        """Whether a clean verdict is remembered."""
        asked = (digest, at.timestamp())
        return await self._database.run(lambda connection: connection.execute(_FIND, asked).fetchone() is not None)

    async def remember_clean(self, digest: bytes, at: datetime, until: datetime) -> None:
        """Remember a clean verdict."""

        def remember(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM verdicts WHERE expires_at <= ?", (at.timestamp(),))
            connection.execute(_REMEMBER, (digest, int(until.timestamp())))

        await self._database.run(remember)
