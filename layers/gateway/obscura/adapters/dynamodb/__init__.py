"""DynamoDB: the stores on AWS, a table each."""

from obscura.adapters.dynamodb.database import DynamoDb
from obscura.adapters.dynamodb.tables import TABLES, create_missing_tables

__all__ = ["TABLES", "DynamoDb", "create_missing_tables"]
