"""What a failed call to AWS says of a store: away for a moment, or not to be used until somebody mends it."""

from typing import TYPE_CHECKING

from obscura.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

RETRY_UNREACHABLE_S = 1
RETRY_REJECTED_S = 60

_PASSES = frozenset(
    {
        "ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "InternalServerError",
        "SlowDown",
    }
)  # fmt: skip
"""DynamoDB's and S3's error codes for load, which are not all of status 500 and above (their API references)."""


class StoreRejected(UpstreamUnavailable):
    """A store that answers with a refusal, or cannot even be asked: its operator has to mend that."""


def store_failure(store: str, failure: "BotoCoreError | ClientError") -> UpstreamUnavailable:
    """Return the error of a failed call to ``store``, as the message names it; StoreRejected where trying is vain."""
    from botocore import exceptions

    if isinstance(failure, exceptions.ClientError):
        code = failure.response.get("Error", {}).get("Code", "")
        if failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) < 500 and code not in _PASSES:
            return _refused(f"{store} refuses Obscura's call ({code})")
    elif isinstance(failure, exceptions.NoRegionError | exceptions.NoCredentialsError | exceptions.ProfileNotFound):
        return _refused(f"{store} cannot be asked: {str(failure).removesuffix('.')}")
    return store_unreachable(store)


def store_unreachable(store: str) -> UpstreamUnavailable:
    """Return the error of a store that may be back in a moment."""
    return UpstreamUnavailable(f"{store} cannot be reached. Try again in a moment.", retry_after_s=RETRY_UNREACHABLE_S)


def _refused(what: str) -> StoreRejected:
    return StoreRejected(f"{what}. Not your fault: the operator must look into it.", retry_after_s=RETRY_REJECTED_S)
