"""The stores on AWS: DynamoDB, one table each for keys, counters, files and verdicts."""
