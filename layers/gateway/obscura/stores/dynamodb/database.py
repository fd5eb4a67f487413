"""DynamoDB's refusals that are answers: a condition that failed, a transaction in another's way."""

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from obscura.errors import UpstreamUnavailable
from obscura.stores.aws_errors import StoreRejected, store_failure


@dataclass(slots=True)
class ExpectedError:
    """Whether the call was refused; for a transaction, the reason of each of its items ("None" where it had none)."""

    happened: bool = False
    reasons: list[str] = field(default_factory=list)


@contextmanager
def expect_error(*codes: str) -> Iterator[ExpectedError]:
    """Take note of botocore's ClientError when it has one of ``codes``; any other goes on."""
    from botocore.exceptions import ClientError

    refusal = ExpectedError()
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


_MAX_NAME_BYTES = 1024


def partition_key(project: str) -> str:
    """Return a project's partition key; each kind of key begins with its own word, so no two projects share one."""
    encoded = project.encode()
    if len(encoded) <= _MAX_NAME_BYTES:
        return f"name:{project}"
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"


if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    type Item = dict[str, AttributeValueTypeDef]


# boto3's query and scan share no type beside "takes keywords and gives a mapping".
def read_pages(read: Callable[..., Any], asked: Mapping[str, Any], wanted: int | None = None) -> "list[Item]":
    """Read page after page until ``wanted`` items are there, or all."""
    items: list[Item] = []
    behind: dict[str, Any] = {}
    while True:
        told = read(**asked, **behind)
        items += told["Items"]
        if "LastEvaluatedKey" not in told or (wanted is not None and len(items) >= wanted):
            return items
        behind = {"ExclusiveStartKey": told["LastEvaluatedKey"]}


if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Client = DynamoDBClient
type Call[T] = Callable[[Client], T]

CALLS_AT_ONCE = 32
CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 3.0
ATTEMPTS = 3
FIRST_PAUSE_S = 0.05

_STORE = "Obscura's store"
_ANSWERS = frozenset({"ConditionalCheckFailedException", "TransactionCanceledException"})
"""Refusals that a caller of ``once`` has to understand."""


class DynamoDb:
    """The tables whose names begin with ``prefix``; boto3 itself never retries, since a retried count counts twice."""

    def __init__(self, prefix: str) -> None:
        """Nothing is opened yet; region, credentials and ``AWS_ENDPOINT_URL`` come from boto3's own environment."""
        self._prefix = prefix
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE, "dynamodb")
        self._client: Client | None = None

    def table(self, name: str) -> str:
        """Return a table's full name, such as ``obscura-keys``."""
        return f"{self._prefix}-{name}"

    async def once[T](self, call: Call[T]) -> T:
        """Make a call that must not be repeated; raises UpstreamUnavailable when it may or may not have counted.

        A condition that failed, or a transaction for its items' sake, comes as botocore's ClientError; any other
        refusal as StoreRejected.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, call)

    async def repeatable[T](self, call: Call[T]) -> T:
        """Make a call that does no harm when it is made again, at most ``ATTEMPTS`` times; raises as ``once`` does."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self.once(call)
            except StoreRejected:
                raise
            except UpstreamUnavailable:
                await asyncio.sleep(random.uniform(0, FIRST_PAUSE_S * 2**attempt))  # noqa: S311 jitter is no secret
        return await self.once(call)

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    def _call[T](self, call: Call[T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call(self._opened())
        except BotoCoreError as failure:
            raise store_failure(_STORE, failure) from None
        except ClientError as refusal:
            if refusal.response.get("Error", {}).get("Code") in _ANSWERS:
                raise
            raise store_failure(_STORE, refusal) from None

    def _opened(self) -> Client:
        if self._client is None:
            import boto3
            from botocore.config import Config

            self._client = boto3.client(
                "dynamodb",
                config=Config(
                    retries={"total_max_attempts": 1},
                    connect_timeout=CONNECT_TIMEOUT_S,
                    read_timeout=READ_TIMEOUT_S,
                    max_pool_connections=CALLS_AT_ONCE,
                ),
            )
        return self._client
