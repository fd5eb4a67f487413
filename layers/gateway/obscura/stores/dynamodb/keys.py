"""API keys in DynamoDB: an item under each digest, and one under each id that refers to it; the address secret."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from obscura.auth.base import ApiKey
from obscura.errors import StoreUnavailable
from obscura.stores.dynamodb.database import Client, DynamoDb, expect_error, read_item, read_pages, to_item
from obscura.usage.base import format_budgets, parse_budgets

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

DIGEST_BYTES = 32
_ID_PREFIX = "id:"
_LIMITS = ("requests_per_minute", "max_storage_bytes", "max_files")
_IS_NEW = "attribute_not_exists(secret_sha256)"


class DynamoKeyStore:
    """Keys by their digests: one consistent read each. Only ``list_all`` scans, for the operator's command line."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("keys")

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Return the live key with this digest."""
        if len(secret_sha256) != DIGEST_BYTES:
            return None
        values = await self._read(secret_sha256.hex())
        return None if values is None or "revoked_at" in values else _key(values)

    async def add(self, key: ApiKey, secret_sha256: bytes) -> None:
        """Store a new key; raises botocore's ClientError if its id or digest is taken."""
        digest = secret_sha256.hex()
        by_id = {"secret_sha256": _ID_PREFIX + key.id, "leads_to": digest}
        await self._database.call_once(lambda client: self._put_new(client, by_id, _values(key, digest)))

    async def list_all(self) -> Sequence[ApiKey]:
        """Return every key, oldest first."""
        scan = {"TableName": self._table, "ConsistentRead": True}
        items = await self._database.call_idempotent(lambda client: read_pages(client.scan, scan))
        keys = [_key(values) for values in items if "project" in values]
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key."""
        by_id = await self._read(_ID_PREFIX + key_id)
        if by_id is None:
            return False
        return await self._database.call_once(lambda client: self._revoke(client, by_id["leads_to"], at))

    async def _read(self, name: str) -> dict[str, Any] | None:
        return await self._database.call_idempotent(
            lambda client: read_item(client, self._table, {"secret_sha256": name})
        )

    def _put_new(self, client: Client, *items: dict[str, Any]) -> None:
        puts: list[TransactWriteItemTypeDef] = [
            {"Put": {"TableName": self._table, "Item": to_item(values), "ConditionExpression": _IS_NEW}}
            for values in items
        ]
        client.transact_write_items(TransactItems=puts)

    def _revoke(self, client: Client, digest: str, at: datetime) -> bool:
        with expect_error("ConditionalCheckFailedException") as error:
            client.update_item(
                TableName=self._table,
                Key=to_item({"secret_sha256": digest}),
                UpdateExpression="SET revoked_at = :at",
                ConditionExpression="attribute_exists(secret_sha256) AND attribute_not_exists(revoked_at)",
                ExpressionAttributeValues=to_item({":at": at.isoformat()}),
            )
        return not error.occurred


def _values(key: ApiKey, digest: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "secret_sha256": digest,
        "id": key.id,
        "project": key.project,
        "zero_retention": key.zero_retention,
        "created_at": key.created_at.isoformat(),
    }
    if key.scopes:
        values["scopes"] = set(map(str, key.scopes))
    if key.shards > 1:
        values["shards"] = key.shards
    for name in _LIMITS:
        if (limit := getattr(key, name)) is not None:
            values[name] = limit
    if key.budgets:
        values["budgets"] = format_budgets(key.budgets)
    return values


def _key(values: dict[str, Any]) -> ApiKey:
    return ApiKey(
        id=values["id"],
        project=values["project"],
        zero_retention=values["zero_retention"],
        created_at=datetime.fromisoformat(values["created_at"]),
        revoked_at=datetime.fromisoformat(values["revoked_at"]) if "revoked_at" in values else None,
        scopes=frozenset(values.get("scopes", ())),
        shards=int(values.get("shards", 1)),
        budgets=parse_budgets(values.get("budgets", "")),
        **{name: int(values[name]) for name in _LIMITS if name in values},
    )


SECRET_ITEM = "address-secret"
"""Not the digest of a key, which has 64 hexadecimal digits."""

SECRET_BYTES = 32


class DynamoAddressSecret:
    """Read at the first call and cached; if there is none, created on the condition that no other process did."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("keys")
        self._secret: bytes | None = None

    async def read(self) -> bytes:
        """Return the secret."""
        if self._secret is None:
            self._secret = await self._database.call_idempotent(self._read)
        if self._secret is None:
            secret = secrets.token_bytes(SECRET_BYTES)
            await self._database.call_idempotent(lambda client: self._put_new(client, secret))
            self._secret = await self._database.call_idempotent(self._read)
        if self._secret is None:
            raise StoreUnavailable(
                "The free tier is not ready here: its secret does not exist yet. 'obscura keys create' creates it.",
                retry_after_s=60,
            )
        return self._secret

    def _read(self, client: Client) -> bytes | None:
        values = read_item(client, self._table, {"secret_sha256": SECRET_ITEM})
        return bytes(values["secret"]) if values else None

    def _put_new(self, client: Client, secret: bytes) -> None:
        # The functions on Lambda may only read; the operator's command line creates it with the first key.
        with expect_error("ConditionalCheckFailedException", "AccessDeniedException"):
            client.put_item(
                TableName=self._table,
                Item=to_item({"secret_sha256": SECRET_ITEM, "secret": secret}),
                ConditionExpression=_IS_NEW,
            )
