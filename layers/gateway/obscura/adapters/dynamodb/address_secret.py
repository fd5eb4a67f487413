"""The address secret in DynamoDB: one item of the table of keys, made once."""

import secrets

from obscura.adapters.dynamodb.database import Client, DynamoDb
from obscura.adapters.dynamodb.refusals import refused_with
from obscura.errors import UpstreamUnavailable

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
        with refused_with("ConditionalCheckFailedException", "AccessDeniedException"):
            client.put_item(
                TableName=self._table,
                Item={"secret_sha256": {"S": ITEM_NAME}, "secret": {"B": made}},
                ConditionExpression="attribute_not_exists(secret_sha256)",
            )
