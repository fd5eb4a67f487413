"""Writes that happen only when a condition holds."""


def condition_failed(refusal: Exception) -> bool:
    """Whether a write was refused because its condition does not hold."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 heavy: loaded when first needed

    if not isinstance(refusal, ClientError):
        return False
    return refusal.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException"
