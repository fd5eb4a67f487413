"""Clean verdicts in DynamoDB; TTL takes expired ones away."""

from datetime import datetime

from obscura.adapters.dynamodb.database import DynamoDb


class DynamoVerdicts:
    """An item for each clean picture. A call that fails is not repeated: asking the moderator is as quick."""

    def __init__(self, database: DynamoDb) -> None:
        """``database`` may be shared with other stores."""
        self._database = database
        self._table = database.table("verdicts")

    async def is_clean(self, digest: bytes, at: datetime) -> bool:
        """Whether a clean verdict is remembered."""
        told = await self._database.once(
            lambda client: client.get_item(TableName=self._table, Key={"id": {"S": digest.hex()}})
        )
        return "Item" in told and int(told["Item"]["expires_at"]["N"]) > at.timestamp()

    async def remember_clean(self, digest: bytes, at: datetime, until: datetime) -> None:
        """Remember a clean verdict."""
        expires_at = str(int(until.timestamp()))
        await self._database.once(
            lambda client: client.put_item(
                TableName=self._table, Item={"id": {"S": digest.hex()}, "expires_at": {"N": expires_at}}
            )
        )
