"""Writes that happen only when a condition holds."""


def condition_failed(refusal: Exception) -> bool:
    """Whether a write was refused because its condition does not hold."""
    from botocore.exceptions import ClientError

    if not isinstance(refusal, ClientError):
        return False
    return refusal.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException"
