"""Rates in DynamoDB: one item for each subject and window, counted by one write."""

from typing import TYPE_CHECKING

from obscura.adapters.dynamodb.database import Client, DynamoDb
from obscura.adapters.dynamodb.tables import EXPIRES_AT
from obscura.ports import Counter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

KEPT_AFTER_S = 3600
"""How long a counter stays behind its window, so that a place can still be given back."""


class DynamoRates:
    """One unconditional ``ADD`` a request, made once: whoever comes too late is counted too, which changes nothing."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` has the table ``rates``."""
        self._database = database
        self._table = database.table("rates")

    async def count(self, counter: Counter) -> int:
        """Count one request."""
        return await self._database.once(lambda client: self._count(client, counter))

    def _count(self, client: Client, counter: Counter) -> int:
        told = client.update_item(
            TableName=self._table,
            Key=item_key(counter),
            UpdateExpression=f"ADD taken :one SET {EXPIRES_AT} = :expires_at",
            ExpressionAttributeValues={":one": {"N": "1"}, ":expires_at": expiry(counter)},
            ReturnValues="UPDATED_NEW",
        )
        return int(told["Attributes"]["taken"]["N"])


def item_key(counter: Counter) -> "dict[str, AttributeValueTypeDef]":
    """Give a counter's key: the window is part of it, so that no clock of DynamoDB's decides when one ends."""
    return {"subject": {"S": f"{counter.subject}@{counter.window.begins_at_s}"}}


def expiry(counter: Counter) -> "AttributeValueTypeDef":
    """Give when a counter may be deleted, in seconds since 1970."""
    return {"N": str(counter.window.ends_at_s + KEPT_AFTER_S)}
