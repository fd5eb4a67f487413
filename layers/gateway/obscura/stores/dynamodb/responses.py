"""Stored responses in DynamoDB: items of the table of files, in partitions of their own."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import batched
from typing import Any

from obscura.execution import gather_or_raise_first
from obscura.files.response_records import ResponseRecord
from obscura.stores.dynamodb.database import Client, DynamoDb, partition_key, read_item, to_item
from obscura.stores.dynamodb.tables import EXPIRES_AT

MAX_CALLS_AT_ONCE = 16


class DynamoResponseRepository:
    """Responses by project and id, and the items of each under their own ids; the table's TTL deletes both."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("files")

    async def add(self, record: ResponseRecord) -> None:
        """Put the items' ids, then the record: what can be named is there."""
        expires_at = int(record.expires_at.timestamp())
        for ids in batched(record.item_ids, MAX_CALLS_AT_ONCE, strict=False):
            await gather_or_raise_first(
                [
                    self._put(_item_key(record.project, one) | {"response_id": record.id, EXPIRES_AT: expires_at})
                    for one in ids
                ]
            )
        values = {
            **_key(record.project, record.id),
            "item_ids": json.dumps(record.item_ids),
            "file_ids": json.dumps(record.file_ids),
            EXPIRES_AT: expires_at,
            "body": record.body,
        }
        await self._put(values | ({"body_file_id": record.body_file_id} if record.body_file_id else {}))

    async def find(self, project: str, response_id: str) -> ResponseRecord | None:
        """Return a project's record, read consistently."""
        values = await self._read(_key(project, response_id))
        if values is None:
            return None
        return ResponseRecord(
            project,
            response_id,
            tuple(json.loads(values["item_ids"])),
            tuple(json.loads(values["file_ids"])),
            datetime.fromtimestamp(int(values[EXPIRES_AT]), UTC),
            bytes(values["body"]),
            values.get("body_file_id"),
        )

    async def responses_of(self, project: str, item_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the ids of responses by those of their items, each read consistently."""
        found: dict[str, str] = {}
        for ids in batched(dict.fromkeys(item_ids), MAX_CALLS_AT_ONCE, strict=False):
            read = await gather_or_raise_first([self._read(_item_key(project, one)) for one in ids])
            found |= {one: values["response_id"] for one, values in zip(ids, read, strict=True) if values}
        return found

    async def delete(self, record: ResponseRecord) -> None:
        """Delete the record, then its items' ids."""
        await self._delete(_key(record.project, record.id))
        for ids in batched(record.item_ids, MAX_CALLS_AT_ONCE, strict=False):
            await gather_or_raise_first([self._delete(_item_key(record.project, one)) for one in ids])

    async def _put(self, values: Mapping[str, Any]) -> None:
        def put(client: Client) -> None:
            client.put_item(TableName=self._table, Item=to_item(values))

        await self._database.call_idempotent(put)

    async def _read(self, key: Mapping[str, str]) -> dict[str, Any] | None:
        return await self._database.call_idempotent(partial(read_item, table=self._table, key=key))

    async def _delete(self, key: Mapping[str, str]) -> None:
        def delete(client: Client) -> None:
            client.delete_item(TableName=self._table, Key=to_item(key))

        await self._database.call_idempotent(delete)


def _key(project: str, response_id: str) -> dict[str, str]:
    """Return a response's key; the partition is none of a project's files, which are counted by reading theirs."""
    return {"project": f"responses:{partition_key(project)}", "id": response_id}


def _item_key(project: str, item_id: str) -> dict[str, str]:
    return {"project": f"response_items:{partition_key(project)}", "id": item_id}
