"""DynamoDB: the stores on AWS, a table each."""

from obscura.adapters.dynamodb.database import DynamoDb
from obscura.adapters.dynamodb.files import DynamoFiles
from obscura.adapters.dynamodb.tables import TABLES, create_missing_tables
from obscura.adapters.dynamodb.uploads import DynamoUploads
from obscura.adapters.dynamodb.verdicts import DynamoVerdicts

__all__ = ["TABLES", "DynamoDb", "DynamoFiles", "DynamoUploads", "DynamoVerdicts", "create_missing_tables"]
