"""Where keys, counters, files and bytes are kept: SQLite and disk, or DynamoDB and S3."""
