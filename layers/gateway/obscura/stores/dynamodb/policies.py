"""Versions of policies in DynamoDB: a small item for each, its document compressed in items of their own beside it.

policy          item                         what it has
policy:support  version#000000003            the record, and which items have its document
policy:support  document#<sha256>#00         the document, or its first 300 kB; an item may have 400 kB
ids             support                      that the policy exists, for the list
projects        name:acme                    the policy that holds for the project
"""

import hashlib
import json
import secrets
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from obscura.policy.base import PolicyStores
from obscura.policy.document import PolicyDocument
from obscura.policy.parse import stored_form
from obscura.policy.versions import PolicyVersion, VersionRecord, record_of
from obscura.stores.dynamodb.database import (
    Client,
    DynamoDb,
    expect_error,
    partition_key,
    read_item,
    read_pages,
    to_item,
)
from obscura.stores.dynamodb.policy_counters import DynamoQuotaCounters, DynamoRolloutCounters

PART_BYTES = 300 * 1024

_IDS, _PROJECTS = "ids", "projects"
_VERSION_PREFIX = "version#"


class DynamoPolicyStore:
    """Items that are written once: a document first, then its record, on the condition that the number is free."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("policies")

    async def policy_ids(self) -> Sequence[str]:
        """Return the ids of all policies, sorted."""
        items = await self._query(_IDS, "")
        return [item["item"] for item in items]

    async def records(self, policy_id: str) -> Sequence[VersionRecord]:
        """Return all versions without their documents, the oldest first."""
        items = await self._query(f"policy:{policy_id}", _VERSION_PREFIX)
        return [_record(item) for item in items]

    async def version(self, policy_id: str, number: int) -> PolicyVersion | None:
        """Return one version."""
        key = _version_key(policy_id, number)
        item = await self._database.call_idempotent(lambda client: read_item(client, self._table, key))
        if item is None:
            return None
        parts = await self._query(key["policy"], f"document#{item['document_sha256']}#")
        document = zlib.decompress(b"".join(bytes(part["content"]) for part in parts))
        record = _record(item)
        return PolicyVersion(
            record.number,
            PolicyDocument.model_validate_json(document),
            record.sha256,
            record.created_at,
            record.reverted_from,
        )

    async def add(self, version: PolicyVersion) -> bool:
        """Store a version unless its number is taken."""
        policy_id = version.document.policy_id
        encoded = json.dumps(stored_form(version.document), ensure_ascii=False, separators=(",", ":")).encode()
        compressed = zlib.compress(encoded)
        document_sha256 = hashlib.sha256(compressed).hexdigest()
        for number, start in enumerate(range(0, len(compressed), PART_BYTES)):
            # Named by its content: written twice it is the same, and a version that loses its number harms none.
            await self._put(
                f"policy:{policy_id}",
                f"document#{document_sha256}#{number:02}",
                content=compressed[start : start + PART_BYTES],
            )
        await self._put(_IDS, policy_id)
        item = _version_key(policy_id, version.number) | _values(record_of(version), document_sha256)
        item["added_by"] = secrets.token_hex(8)
        return await self._database.call_idempotent(lambda client: self._put_version(client, item))

    async def project_policy(self, project: str) -> str | None:
        """Return the id of the policy that holds for a project."""
        key = {"policy": _PROJECTS, "item": partition_key(project)}
        item = await self._database.call_idempotent(lambda client: read_item(client, self._table, key))
        return item["policy_id"] if item else None

    async def assign_project(self, project: str, policy_id: str | None) -> None:
        """Let a policy hold for a project, or none."""
        if policy_id is not None:
            await self._put(_PROJECTS, partition_key(project), policy_id=policy_id)
            return
        key = {"policy": _PROJECTS, "item": partition_key(project)}
        await self._database.call_idempotent(lambda client: client.delete_item(TableName=self._table, Key=to_item(key)))

    async def _query(self, partition: str, prefix: str) -> list[dict[str, Any]]:
        condition, values = "#policy = :policy", {":policy": partition}
        if prefix:
            condition, values = f"{condition} AND begins_with(#item, :prefix)", values | {":prefix": prefix}
        names = {"#policy": "policy"} | ({"#item": "item"} if prefix else {})

        def read(client: Client) -> list[dict[str, Any]]:
            parameters = {
                "TableName": self._table,
                "ConsistentRead": True,
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": to_item(values),
            }
            return read_pages(client.query, parameters)

        return await self._database.call_idempotent(read)

    async def _put(self, policy: str, item: str, **values: Any) -> None:
        whole = {"policy": policy, "item": item, **values}
        await self._database.call_idempotent(lambda client: client.put_item(TableName=self._table, Item=to_item(whole)))

    def _put_version(self, client: Client, item: dict[str, Any]) -> bool:
        """Put a record unless its number is taken, by another call than this one or a first try of it."""
        with expect_error("ConditionalCheckFailedException") as taken:
            client.put_item(
                TableName=self._table, Item=to_item(item), ConditionExpression="attribute_not_exists(#item)",
                ExpressionAttributeNames={"#item": "item"},
            )  # fmt: skip
        if not taken.occurred:
            return True
        stored = read_item(client, self._table, {"policy": item["policy"], "item": item["item"]})
        return stored is not None and stored.get("added_by") == item["added_by"]


def _version_key(policy_id: str, number: int) -> dict[str, str]:
    return {"policy": f"policy:{policy_id}", "item": f"{_VERSION_PREFIX}{number:09}"}


def _values(record: VersionRecord, document_sha256: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": record.name,
        "draft": record.draft,
        "sha256": record.sha256,
        "created_at": record.created_at.isoformat(),
        "document_sha256": document_sha256,
    }
    return values if record.reverted_from is None else values | {"reverted_from": record.reverted_from}


def _record(item: dict[str, Any]) -> VersionRecord:
    reverted_from = item.get("reverted_from")
    return VersionRecord(
        int(item["item"].removeprefix(_VERSION_PREFIX)),
        item["name"],
        item["draft"],
        item["sha256"],
        datetime.fromisoformat(item["created_at"]),
        None if reverted_from is None else int(reverted_from),
    )


def dynamodb_policies(database: DynamoDb) -> PolicyStores:
    """Return all stores of policies on AWS."""
    return PolicyStores(DynamoPolicyStore(database), DynamoRolloutCounters(database), DynamoQuotaCounters(database))
