"""What a sweep of one machine deletes, in steps of about a millisecond: records, verdicts, responses, counters."""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime

from obscura.files.base import StoredFile, Upload
from obscura.stores.sqlite.database import Database
from obscura.stores.sqlite.files import SqliteFileRepository, SqliteUploadRepository
from obscura.stores.sqlite.responses import delete_expired_responses

MAX_ENTRIES_AT_ONCE = 200
_DELETE_VERDICTS = """
DELETE FROM verdicts WHERE digest IN (SELECT digest FROM verdicts WHERE expires_at <= ? LIMIT ?)
"""
_DELETE_COUNTERS = """
DELETE FROM counters WHERE (subject, begins_at_s) IN
(SELECT subject, begins_at_s FROM counters WHERE ends_at_s <= ? LIMIT ?)
"""
_SELECT_KNOWN = "SELECT id FROM files WHERE id IN ({0}) UNION ALL SELECT id FROM uploads WHERE id IN ({0})"


class SqliteSweptRecords:
    """The records of all projects, in the order in which they expire."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._files = SqliteFileRepository(database)
        self._uploads = SqliteUploadRepository(database)

    async def expired_files(self, at: datetime, skip: int) -> Sequence[StoredFile]:
        """Return some expired files."""
        return await self._files.expired("", at, skip)

    async def expired_uploads(self, at: datetime, skip: int) -> Sequence[Upload]:
        """Return some expired uploads."""
        return await self._uploads.expired("", at, skip)

    async def without_record(self, ids: Collection[str]) -> set[str]:
        """Return those of ``ids`` that have no record."""
        marks = ",".join("?" * len(ids))

        def select(connection: sqlite3.Connection) -> set[str]:
            return {known for (known,) in connection.execute(_SELECT_KNOWN.format(marks), (*ids, *ids))}

        return set(ids) - await self._database.run(select)

    async def delete_expired_entries(self, at: datetime) -> int:
        """Delete some expired verdicts, responses and counters."""
        verdicts = await self._delete(self._database, _DELETE_VERDICTS, at)
        responses = await delete_expired_responses(self._database, int(at.timestamp()), MAX_ENTRIES_AT_ONCE)
        return verdicts + responses + await self._delete(self._database.counters, _DELETE_COUNTERS, at)

    async def _delete(self, database: Database, statement: str, at: datetime) -> int:
        parameters = (int(at.timestamp()), MAX_ENTRIES_AT_ONCE)
        return await database.run(lambda connection: connection.execute(statement, parameters).rowcount)
