"""The address secret in DynamoDB: one item of the table of keys, made once."""

import secrets

from obscura.adapters.dynamodb.database import Client, DynamoDb
from obscura.adapters.dynamodb.refusals import refused_with

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
        """Give the secret."""
        if self._secret is None:
            self._secret = await self._database.repeatable(self._read)
        if self._secret is None:
            made = secrets.token_bytes(SECRET_BYTES)
            await self._database.repeatable(lambda client: self._put(client, made))
            self._secret = await self._database.repeatable(self._read)
        if self._secret is None:
            raise RuntimeError("The address secret was put in its place and is not there.")
        return self._secret

    def _read(self, client: Client) -> bytes | None:
        told = client.get_item(TableName=self._table, Key={"secret_sha256": {"S": ITEM_NAME}}, ConsistentRead=True)
        return bytes(told["Item"]["secret"]["B"]) if "Item" in told else None

    def _put(self, client: Client, made: bytes) -> None:
        with refused_with("ConditionalCheckFailedException"):
            client.put_item(
                TableName=self._table,
                Item={"secret_sha256": {"S": ITEM_NAME}, "secret": {"B": made}},
                ConditionExpression="attribute_not_exists(secret_sha256)",
            )
