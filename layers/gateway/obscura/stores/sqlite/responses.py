"""Stored responses in SQLite: a row for each response, and one for each of its items that may be named."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import batched

from obscura.errors import StorageFull
from obscura.files.response_records import ResponseRecord
from obscura.stores.sqlite.database import DISK_IS_FULL, Database, DatabaseFull

_TABLES = (
    """
CREATE TABLE IF NOT EXISTS responses (
    project TEXT NOT NULL,
    id TEXT NOT NULL,
    item_ids TEXT NOT NULL,
    file_ids TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    body_file_id TEXT,
    PRIMARY KEY (project, id)
) STRICT
""",
    "CREATE INDEX IF NOT EXISTS responses_by_expiry ON responses (expires_at)",
    """
CREATE TABLE IF NOT EXISTS response_items (
    project TEXT NOT NULL,
    id TEXT NOT NULL,
    response_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (project, id)
) STRICT, WITHOUT ROWID
""",
    "CREATE INDEX IF NOT EXISTS response_items_by_expiry ON response_items (expires_at)",
)
"""Created at the first use, as the tables of policies are: a start on a full disk needs none of it."""

_INSERT = "INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_ITEM = "INSERT OR REPLACE INTO response_items VALUES (?, ?, ?, ?)"
_SELECT = "SELECT item_ids, file_ids, expires_at, body, body_file_id FROM responses WHERE project = ? AND id = ?"
_SELECT_ITEMS = "SELECT id, response_id FROM response_items WHERE project = ? AND id IN ({0})"
_DELETE = "DELETE FROM responses WHERE project = ? AND id = ?"
_DELETE_ITEMS = "DELETE FROM response_items WHERE project = ? AND response_id = ? AND id = ?"
_HAS_TABLES = "SELECT count(*) = 2 FROM sqlite_master WHERE type = 'table' AND name IN ('responses', 'response_items')"
_DELETE_EXPIRED = (
    "DELETE FROM responses WHERE rowid IN (SELECT rowid FROM responses WHERE expires_at <= ? LIMIT ?)",
    """
DELETE FROM response_items WHERE (project, id) IN
(SELECT project, id FROM response_items WHERE expires_at <= ? LIMIT ?)
""",
)
MAX_IDS_AT_ONCE = 500


class SqliteResponseRepository:
    """Responses by project and id."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._has_tables = False

    async def add(self, record: ResponseRecord) -> None:
        """Insert a record and its items in one transaction; raises StorageFull on a full disk."""
        if self._database.is_short_of_disk():
            raise StorageFull(DISK_IS_FULL)
        expires_at = int(record.expires_at.timestamp())
        row = (
            *(record.project, record.id, json.dumps(record.item_ids), json.dumps(record.file_ids)),
            *(expires_at, record.body, record.body_file_id),
        )
        items = [(record.project, item_id, record.id, expires_at) for item_id in record.item_ids]

        def insert(connection: sqlite3.Connection) -> None:
            _in_transaction(connection, [(_INSERT, [row]), (_INSERT_ITEM, items)])

        try:
            await self._run(insert)
        except DatabaseFull as full:
            raise StorageFull(full.message) from None

    async def find(self, project: str, response_id: str) -> ResponseRecord | None:
        """Return a project's record."""
        row = await self._run(lambda connection: connection.execute(_SELECT, (project, response_id)).fetchone())
        if row is None:
            return None
        item_ids, file_ids, expires_at, body, body_file_id = row
        return ResponseRecord(
            project,
            response_id,
            tuple(json.loads(item_ids)),
            tuple(json.loads(file_ids)),
            datetime.fromtimestamp(expires_at, UTC),
            body,
            body_file_id,
        )

    async def responses_of(self, project: str, item_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the ids of responses by those of their items."""
        found: dict[str, str] = {}
        for ids in batched(dict.fromkeys(item_ids), MAX_IDS_AT_ONCE, strict=False):
            statement = _SELECT_ITEMS.format(",".join("?" * len(ids)))

            def select(
                connection: sqlite3.Connection, statement: str = statement, ids: tuple[str, ...] = ids
            ) -> list[tuple[str, str]]:
                return connection.execute(statement, (project, *ids)).fetchall()

            found |= dict(await self._run(select))
        return found

    async def delete(self, record: ResponseRecord) -> None:
        """Delete a record and its items in one transaction."""
        items = [(record.project, record.id, item_id) for item_id in record.item_ids]

        def delete(connection: sqlite3.Connection) -> None:
            _in_transaction(connection, [(_DELETE, [(record.project, record.id)]), (_DELETE_ITEMS, items)])

        await self._run(delete)

    async def _run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        if not self._has_tables:
            await self._database.run(_create_tables)
            self._has_tables = True
        return await self._database.run(work)


def _create_tables(connection: sqlite3.Connection) -> None:
    for statement in _TABLES:
        connection.execute(statement)


def _in_transaction(connection: sqlite3.Connection, writes: Sequence[tuple[str, Sequence[tuple[object, ...]]]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement, rows in writes:
            connection.executemany(statement, rows)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


async def delete_expired_responses(database: Database, at_s: int, most: int) -> int:
    """Delete some expired responses and items, if there are any tables of them, and return how many."""

    def delete(connection: sqlite3.Connection) -> int:
        if not connection.execute(_HAS_TABLES).fetchone()[0]:
            return 0
        return sum(connection.execute(statement, (at_s, most)).rowcount for statement in _DELETE_EXPIRED)

    return await database.run(delete)
