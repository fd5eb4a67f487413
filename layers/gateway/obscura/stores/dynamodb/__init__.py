"""DynamoDB: the stores on AWS, a table each."""
