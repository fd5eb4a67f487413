"""DynamoDB: the stores on AWS, a table each."""

from obscura.adapters.dynamodb.address_secret import DynamoAddressSecret
from obscura.adapters.dynamodb.database import DynamoDb
from obscura.adapters.dynamodb.keys import DynamoKeys
from obscura.adapters.dynamodb.quotas import DynamoQuotas
from obscura.adapters.dynamodb.rates import DynamoRates
from obscura.adapters.dynamodb.tables import TABLES, create_missing_tables

__all__ = [
    "TABLES",
    "DynamoAddressSecret",
    "DynamoDb",
    "DynamoKeys",
    "DynamoQuotas",
    "DynamoRates",
    "create_missing_tables",
]
