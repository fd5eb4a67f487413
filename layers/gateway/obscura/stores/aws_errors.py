"""Errors of AWS calls as errors of a store: unreachable for a moment, or rejected until the operator acts."""

from typing import TYPE_CHECKING

from obscura.errors import StoreUnavailable

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

RETRY_UNREACHABLE_S = 1
RETRY_REJECTED_S = 60

_TRANSIENT = frozenset(
    {
        "ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "InternalServerError",
        "SlowDown", "TransactionConflictException", "TransactionInProgressException",
    }
)  # fmt: skip
"""DynamoDB's and S3's error codes for load, which are not all of status 500 and above (their API references)."""


class StoreRejected(StoreUnavailable):
    """The store rejects Obscura's calls, or cannot be called at all: the operator has to fix that."""


class ConnectionLost(StoreUnavailable):
    """A connection closed before the response; the call may or may not have been made."""


def store_error(store: str, error: "BotoCoreError | ClientError") -> StoreUnavailable:
    """Return the error of a failed call to ``store``, its name in messages; StoreRejected if a retry is pointless."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) < 500 and code not in _TRANSIENT:
            return _rejected(f"{store} rejects Obscura's call ({code})")
    elif isinstance(error, exceptions.NoRegionError | exceptions.NoCredentialsError | exceptions.ProfileNotFound):
        return _rejected(f"{store} cannot be called: {str(error).removesuffix('.')}")
    elif isinstance(error, exceptions.ConnectionClosedError):
        unreachable = store_unreachable(store)
        return ConnectionLost(unreachable.message, retry_after_s=RETRY_UNREACHABLE_S)
    return store_unreachable(store)


def store_unreachable(store: str) -> StoreUnavailable:
    """Return the error of a store that may be reachable in a moment."""
    return StoreUnavailable(f"{store} cannot be reached. Try again in a moment.", retry_after_s=RETRY_UNREACHABLE_S)


def _rejected(reason: str) -> StoreRejected:
    return StoreRejected(f"{reason}. Not your fault: the operator must look into it.", retry_after_s=RETRY_REJECTED_S)
