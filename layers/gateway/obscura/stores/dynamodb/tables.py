"""The tables: ``template.yaml`` creates them on AWS, ``obscura serve`` on an emulator (``AWS_ENDPOINT_URL``)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from obscura.stores.dynamodb.database import Client, DynamoDb

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import KeySchemaElementTypeDef

EXPIRES_AT = "expires_at"
"""Every table's TTL attribute, in seconds since 1970; only for cleaning up, since DynamoDB deletes days late."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name after the prefix, and its key attributes, all strings."""

    name: str
    partition_key: str
    sort_key: str | None = None


TABLES = (
    Table("keys", "secret_sha256"),
    Table("rates", "subject"),
    Table("files", "project", "id"),
    Table("verdicts", "id"),
    Table("policies", "policy", "item"),
)
"""API keys; counters of rates, of the free tier and of policies; metadata of files and uploads; clean moderation
verdicts; versions of policies and the projects that they hold for."""


async def create_missing_tables(database: DynamoDb) -> None:
    """Create those of ``TABLES`` that do not exist, billed by request, each with its TTL."""
    await database.call_idempotent(lambda client: _create_missing(client, database))


def _create_missing(client: Client, database: DynamoDb) -> None:
    present = {name for page in client.get_paginator("list_tables").paginate() for name in page["TableNames"]}
    for table in TABLES:
        name = database.table(table.name)
        if name in present:
            continue
        schema: list[KeySchemaElementTypeDef] = [{"AttributeName": table.partition_key, "KeyType": "HASH"}]
        if table.sort_key is not None:
            schema.append({"AttributeName": table.sort_key, "KeyType": "RANGE"})
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key["AttributeName"], "AttributeType": "S"} for key in schema],
            KeySchema=schema,
        )
        client.get_waiter("table_exists").wait(TableName=name)
        client.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES_AT}
        )
