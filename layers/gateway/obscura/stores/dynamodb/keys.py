"""API keys in DynamoDB: an item under each digest, and one under each id that leads to it."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from obscura.auth.base import ApiKey
from obscura.errors import UpstreamUnavailable
from obscura.stores.dynamodb.database import Client, DynamoDb, expect_error

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, PutTypeDef, TransactWriteItemTypeDef

type Item = Mapping[str, Any]

DIGEST_BYTES = 32
_ID_PREFIX = "id:"
_IS_NEW = "attribute_not_exists(secret_sha256)"


class DynamoKeyStore:
    """Finding a key is one consistent read by its digest; only ``all`` scans, for the operator's command line."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` has the table ``keys``."""
        self._database = database
        self._table = database.table("keys")

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Return the live key with this digest."""
        if len(secret_sha256) != DIGEST_BYTES:
            return None
        item = await self._read(secret_sha256.hex())
        return None if item is None or "revoked_at" in item else _key(item)

    async def add(self, key: ApiKey, secret_sha256: bytes) -> None:
        """Store a new key; botocore's ClientError when its id or digest is taken."""
        digest = secret_sha256.hex()
        by_id: PutTypeDef = {
            "TableName": self._table,
            "Item": {"secret_sha256": {"S": _ID_PREFIX + key.id}, "leads_to": {"S": digest}},
            "ConditionExpression": _IS_NEW,
        }
        by_digest: PutTypeDef = {
            "TableName": self._table,
            "Item": _item(key, digest),
            "ConditionExpression": _IS_NEW,
        }
        items: list[TransactWriteItemTypeDef] = [{"Put": by_id}, {"Put": by_digest}]
        await self._database.once(lambda client: client.transact_write_items(TransactItems=items))

    async def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first."""
        items = await self._database.repeatable(self._scanned)
        keys = [_key(item) for item in items if "project" in item]
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key."""
        by_id = await self._read(_ID_PREFIX + key_id)
        if by_id is None:
            return False
        digest = by_id["leads_to"]["S"]
        return await self._database.once(lambda client: self._revoke(client, digest, at))

    async def _read(self, name: str) -> Item | None:
        return await self._database.repeatable(
            lambda client: client.get_item(
                TableName=self._table, Key={"secret_sha256": {"S": name}}, ConsistentRead=True
            ).get("Item")
        )

    def _scanned(self, client: Client) -> list[Item]:
        pages = client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def _revoke(self, client: Client, digest: str, at: datetime) -> bool:
        with expect_error("ConditionalCheckFailedException") as refusal:
            client.update_item(
                TableName=self._table,
                Key={"secret_sha256": {"S": digest}},
                UpdateExpression="SET revoked_at = :at",
                ConditionExpression="attribute_exists(secret_sha256) AND attribute_not_exists(revoked_at)",
                ExpressionAttributeValues={":at": {"S": at.isoformat()}},
            )
        return not refusal.happened


def _item(key: ApiKey, digest: str) -> "dict[str, AttributeValueTypeDef]":
    item: dict[str, AttributeValueTypeDef] = {
        "secret_sha256": {"S": digest},
        "id": {"S": key.id},
        "project": {"S": key.project},
        "zero_retention": {"BOOL": key.zero_retention},
        "created_at": {"S": key.created_at.isoformat()},
    }
    if key.scopes:
        item["scopes"] = {"SS": sorted(key.scopes)}
    if key.requests_per_minute is not None:
        item["requests_per_minute"] = {"N": str(key.requests_per_minute)}
    return item


def _key(item: Item) -> ApiKey:
    return ApiKey(
        id=item["id"]["S"],
        project=item["project"]["S"],
        zero_retention=item["zero_retention"]["BOOL"],
        created_at=datetime.fromisoformat(item["created_at"]["S"]),
        revoked_at=datetime.fromisoformat(item["revoked_at"]["S"]) if "revoked_at" in item else None,
        scopes=frozenset(item["scopes"]["SS"]) if "scopes" in item else frozenset(),
        requests_per_minute=int(item["requests_per_minute"]["N"]) if "requests_per_minute" in item else None,
    )


ITEM_NAME = "address-secret"
"""No digest of a key, which is 64 hexadecimal digits."""

SECRET_BYTES = 32


class DynamoAddressSecret:
    """Read at the first call and remembered; whoever finds none makes it, on the condition that nobody else did."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` has the table ``keys``."""
        self._database = database
        self._table = database.table("keys")
        self._secret: bytes | None = None

    async def read(self) -> bytes:
        """Return the secret."""
        if self._secret is None:
            self._secret = await self._database.repeatable(self._read)
        if self._secret is None:
            made = secrets.token_bytes(SECRET_BYTES)
            await self._database.repeatable(lambda client: self._put(client, made))
            self._secret = await self._database.repeatable(self._read)
        if self._secret is None:
            raise UpstreamUnavailable(
                "The free tier is not ready here: its secret is not made yet. 'obscura keys create' makes it.",
                retry_after_s=60,
            )
        return self._secret

    def _read(self, client: Client) -> bytes | None:
        told = client.get_item(TableName=self._table, Key={"secret_sha256": {"S": ITEM_NAME}}, ConsistentRead=True)
        return bytes(told["Item"]["secret"]["B"]) if "Item" in told else None

    def _put(self, client: Client, made: bytes) -> None:
        # The functions on Lambda may only read; the operator's command line makes it with the first key.
        with expect_error("ConditionalCheckFailedException", "AccessDeniedException"):
            client.put_item(
                TableName=self._table,
                Item={"secret_sha256": {"S": ITEM_NAME}, "secret": {"B": made}},
                ConditionExpression="attribute_not_exists(secret_sha256)",
            )
