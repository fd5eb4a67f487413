"""DynamoDB: the stores on AWS, a table each."""

from obscura.adapters.dynamodb.address_secret import DynamoAddressSecret
from obscura.adapters.dynamodb.database import DynamoDb
from obscura.adapters.dynamodb.files import DynamoFiles
from obscura.adapters.dynamodb.keys import DynamoKeys
from obscura.adapters.dynamodb.quotas import DynamoQuotas
from obscura.adapters.dynamodb.rates import DynamoRates
from obscura.adapters.dynamodb.tables import TABLES, create_missing_tables
from obscura.adapters.dynamodb.uploads import DynamoUploads
from obscura.adapters.dynamodb.verdicts import DynamoVerdicts

__all__ = [
    "TABLES",
    "DynamoAddressSecret",
    "DynamoDb",
    "DynamoFiles",
    "DynamoKeys",
    "DynamoQuotas",
    "DynamoRates",
    "DynamoUploads",
    "DynamoVerdicts",
    "create_missing_tables",
]
