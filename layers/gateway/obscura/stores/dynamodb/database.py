"""DynamoDB calls: in threads, with attributes (de)serialised by boto3, and errors as those of a store."""

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from obscura.errors import StoreUnavailable
from obscura.stores.aws_errors import ConnectionLost, StoreRejected, store_error
from obscura.stores.dynamodb.connections import ConnectionAge, keep_connections_fresh

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

type Client = DynamoDBClient
type Call[T] = Callable[[Client], T]
type Item = dict[str, AttributeValueTypeDef]
"""An item as the API has it, ``{"limit": {"N": "5"}}``; everywhere else it is ``{"limit": 5}``."""

MAX_CONCURRENT_CALLS = 32
CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 3.0
MAX_ATTEMPTS = 3
FIRST_PAUSE_S = 0.05

_STORE = "Obscura's store"
_EXPECTED = frozenset({"ConditionalCheckFailedException", "TransactionCanceledException"})
"""Errors that the caller of ``call_once`` handles."""


class DynamoDb:
    """The tables whose names begin with ``prefix``; boto3 itself never retries, since a retried count counts twice."""

    def __init__(self, prefix: str) -> None:
        """No connection is opened yet; region, credentials and ``AWS_ENDPOINT_URL`` come from boto3's environment."""
        self._prefix = prefix
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT_CALLS, "dynamodb")
        self._opening = Lock()
        self._client: Client | None = None
        self._connections = ConnectionAge()

    def table(self, name: str) -> str:
        """Return a table's full name, such as ``obscura-keys``."""
        return f"{self._prefix}-{name}"

    async def call_once[T](self, call: Call[T]) -> T:
        """Make a call that must not be repeated, in a thread; boto3 is imported there too.

        Raises StoreUnavailable; the write may or may not have been made. A failed condition and a cancelled
        transaction raise botocore's ClientError (see ``expect_error``), any other rejection StoreRejected.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, call)

    async def call_idempotent[T](self, call: Call[T]) -> T:
        """Make a call that may safely be repeated, at most ``MAX_ATTEMPTS`` times; raises what ``call_once`` raises."""
        for attempt in range(1, MAX_ATTEMPTS):
            try:
                return await self.call_once(call)
            except StoreRejected:
                raise
            except StoreUnavailable as error:
                if attempt == 1 and isinstance(error, ConnectionLost):
                    continue  # a connection that was stale says nothing of the load
                await asyncio.sleep(random.uniform(0, FIRST_PAUSE_S * 2**attempt))  # noqa: S311 jitter is no secret
        return await self.call_once(call)

    async def call_counting[T](self, call: Call[T]) -> T:
        """Make a call of which one too many changes little, a count past a limit: again if its connection was lost.

        Raises what ``call_once`` raises.
        """
        try:
            return await self.call_once(call)
        except ConnectionLost:
            return await self.call_once(call)

    def close(self) -> None:
        """Close threads and connections."""
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    def _call[T](self, call: Call[T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call(self._open())
        except BotoCoreError as error:
            unreachable = store_error(_STORE, error)
            if isinstance(unreachable, ConnectionLost):
                self._connections.connection_lost()
            raise unreachable from None
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _EXPECTED:
                raise
            raise store_error(_STORE, error) from None

    def _open(self) -> Client:
        with self._opening:
            if self._client is None:
                import boto3
                from botocore.config import Config

                self._client = boto3.client(
                    "dynamodb",
                    config=Config(
                        retries={"total_max_attempts": 1},
                        connect_timeout=CONNECT_TIMEOUT_S,
                        read_timeout=READ_TIMEOUT_S,
                        max_pool_connections=MAX_CONCURRENT_CALLS,
                    ),
                )
                keep_connections_fresh(self._client, self._connections)
            return self._client


def to_item(values: Mapping[str, Any]) -> Item:
    """Serialise attributes; in a call's thread, since it imports boto3."""
    from boto3.dynamodb.types import TypeSerializer

    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in values.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Deserialise attributes; numbers become ``Decimal``, bytes boto3's ``Binary``."""
    from boto3.dynamodb.types import TypeDeserializer

    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}


def read_item(client: Client, table: str, key: Mapping[str, str], *, consistent: bool = True) -> dict[str, Any] | None:
    """Return the attributes of the item with this key, or None."""
    response = client.get_item(TableName=table, Key=to_item(key), ConsistentRead=consistent)
    return from_item(response["Item"]) if "Item" in response else None


# boto3's query and scan share no type beside "takes keywords and returns a mapping".
def read_pages(
    read: Callable[..., Any], parameters: Mapping[str, Any], min_items: int | None = None
) -> list[dict[str, Any]]:
    """Read page after page until there are at least ``min_items``, or all."""
    items: list[dict[str, Any]] = []
    start: dict[str, Any] = {}
    while True:
        page = read(**parameters, **start)
        items += map(from_item, page["Items"])
        if "LastEvaluatedKey" not in page or (min_items is not None and len(items) >= min_items):
            return items
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


@dataclass(slots=True)
class ExpectedError:
    """Whether the error occurred; for a transaction, the reason of each of its items ("None" if it had none).

    ``items`` are those that did not meet their conditions, as they are, if the call asked for them.
    """

    occurred: bool = False
    reasons: list[str] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def expect_error(*codes: str) -> Iterator[ExpectedError]:
    """Catch botocore's ClientError if it has one of ``codes``."""
    from botocore.exceptions import ClientError

    expected = ExpectedError()
    try:
        yield expected
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in codes:
            raise
        expected.occurred = True
        # In no type of botocore's stubs: DynamoDB API reference, TransactWriteItems, "TransactionCanceledException".
        response: dict[str, object] = {**error.response}
        reasons = response.get("CancellationReasons")
        if isinstance(reasons, list):
            expected.reasons = [reason.get("Code", "None") for reason in reasons]
        found = [response, *(reasons if isinstance(reasons, list) else [])]
        expected.items = [from_item(holder["Item"]) for holder in found if isinstance(holder.get("Item"), dict)]


_MAX_NAME_BYTES = 1024


def partition_key(project: str) -> str:
    """Return a project's partition key; each of the two kinds has its own prefix, so no two projects share a key."""
    encoded = project.encode()
    if len(encoded) <= _MAX_NAME_BYTES:
        return f"name:{project}"
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"
