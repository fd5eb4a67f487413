"""Stores of keys, counters, files and bytes: SQLite and disk on one machine, DynamoDB and S3 on AWS."""
