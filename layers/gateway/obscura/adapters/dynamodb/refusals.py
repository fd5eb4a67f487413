"""DynamoDB's refusals that are answers: a condition that failed, a transaction in another's way."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Refusal:
    """Whether the call was refused; for a transaction, the reason of each of its items ("None" where it had none)."""

    happened: bool = False
    reasons: list[str] = field(default_factory=list)


@contextmanager
def refused_with(*codes: str) -> Iterator[Refusal]:
    """Take note of botocore's ClientError when it has one of ``codes``; any other goes on."""
    from botocore.exceptions import ClientError

    refusal = Refusal()
    try:
        yield refusal
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in codes:
            raise
        refusal.happened = True
        # In no type of botocore's stubs: DynamoDB API reference, TransactWriteItems, "TransactionCanceledException".
        response: dict[str, object] = {**error.response}
        reasons = response.get("CancellationReasons")
        if isinstance(reasons, list):
            refusal.reasons = [reason.get("Code", "None") for reason in reasons]
