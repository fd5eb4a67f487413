"""Versions of policies in SQLite, and the projects that they hold for."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from obscura.policy.base import PolicyStores
from obscura.policy.document import PolicyDocument
from obscura.policy.parse import stored_form
from obscura.policy.versions import PolicyVersion, VersionRecord, record_of
from obscura.stores.sqlite.database import DISK_IS_FULL, Database, DatabaseFull
from obscura.stores.sqlite.policy_counters import SqliteQuotaCounters, SqliteRolloutCounters

_TABLES = (
    """
CREATE TABLE IF NOT EXISTS policies (
    policy_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    draft INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL,
    reverted_from INTEGER,
    document TEXT NOT NULL,
    PRIMARY KEY (policy_id, number)
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS project_policies (project TEXT PRIMARY KEY, policy_id TEXT NOT NULL) STRICT, WITHOUT ROWID
""",
)
"""Created at the first use, and not with the other tables: a start on a full disk needs none of it."""

_RECORD = "number, name, draft, sha256, created_at, reverted_from"
_SELECT_IDS = "SELECT DISTINCT policy_id FROM policies ORDER BY policy_id"
_SELECT_RECORDS = f"SELECT {_RECORD} FROM policies WHERE policy_id = ? ORDER BY number"  # noqa: S608 our own names
_SELECT_VERSION = f"SELECT document, {_RECORD} FROM policies WHERE policy_id = ? AND number = ?"  # noqa: S608 our own names
_INSERT = "INSERT OR IGNORE INTO policies VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT_ASSIGNED = "SELECT policy_id FROM project_policies WHERE project = ?"
_ASSIGN = "INSERT OR REPLACE INTO project_policies VALUES (?, ?)"
_UNASSIGN = "DELETE FROM project_policies WHERE project = ?"

type Row = tuple[int, str, int, str, str, int | None]


class SqlitePolicyStore:
    """A row for each version, written once."""

    def __init__(self, database: Database) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._has_tables = False

    async def policy_ids(self) -> Sequence[str]:
        """Return the ids of all policies, sorted."""
        return [
            policy_id for (policy_id,) in await self._run(lambda connection: connection.execute(_SELECT_IDS).fetchall())
        ]

    async def records(self, policy_id: str) -> Sequence[VersionRecord]:
        """Return all versions without their documents, the oldest first."""
        rows = await self._run(lambda connection: connection.execute(_SELECT_RECORDS, (policy_id,)).fetchall())
        return [_record(row) for row in rows]

    async def version(self, policy_id: str, number: int) -> PolicyVersion | None:
        """Return one version."""
        row = await self._run(lambda connection: connection.execute(_SELECT_VERSION, (policy_id, number)).fetchone())
        if row is None:
            return None
        document, *rest = row
        record = _record(tuple(rest))
        return PolicyVersion(
            record.number,
            PolicyDocument.model_validate_json(document),
            record.sha256,
            record.created_at,
            record.reverted_from,
        )

    async def add(self, version: PolicyVersion) -> bool:
        """Store a version unless its number is taken; none on a full disk, whose last bytes are for other writes."""
        if self._database.is_short_of_disk():
            raise DatabaseFull(DISK_IS_FULL, retry_after_s=60)
        record = record_of(version)
        row = (
            version.document.policy_id,
            record.number,
            record.name,
            int(record.draft),
            record.sha256,
            record.created_at.isoformat(),
            record.reverted_from,
            json.dumps(stored_form(version.document), ensure_ascii=False, separators=(",", ":")),
        )
        return await self._run(lambda connection: connection.execute(_INSERT, row).rowcount == 1)

    async def project_policy(self, project: str) -> str | None:
        """Return the id of the policy that holds for a project."""
        row = await self._run(lambda connection: connection.execute(_SELECT_ASSIGNED, (project,)).fetchone())
        return row[0] if row else None

    async def assign_project(self, project: str, policy_id: str | None) -> None:
        """Let a policy hold for a project, or none."""
        if policy_id is None:
            await self._run(lambda connection: connection.execute(_UNASSIGN, (project,)))
        else:
            await self._run(lambda connection: connection.execute(_ASSIGN, (project, policy_id)))

    async def _run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        if not self._has_tables:
            for statement in _TABLES:
                await self._database.run(partial(_execute, statement))
            self._has_tables = True
        return await self._database.run(work)


def _execute(statement: str, connection: sqlite3.Connection) -> None:
    connection.execute(statement)


def _record(row: Row) -> VersionRecord:
    number, name, draft, sha256, created_at, reverted_from = row
    return VersionRecord(number, name, bool(draft), sha256, datetime.fromisoformat(created_at), reverted_from)


def sqlite_policies(database: Database) -> PolicyStores:
    """Return all stores of policies on one machine."""
    return PolicyStores(SqlitePolicyStore(database), SqliteRolloutCounters(database), SqliteQuotaCounters(database))
