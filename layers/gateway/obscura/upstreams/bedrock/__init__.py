"""Amazon Bedrock: Converse, and InvokeModel for Anthropic's own Messages, signed for IAM (docs/bedrock.md)."""
