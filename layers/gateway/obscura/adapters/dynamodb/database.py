"""One client for all tables: opened at the first call, since boto3 takes a quarter of a second; never on the loop."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from obscura.adapters.aws_failures import StoreRefused, store_failure
from obscura.errors import UpstreamUnavailable

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
        """Give a table's full name, such as ``obscura-keys``."""
        return f"{self._prefix}-{name}"

    async def once[T](self, call: Call[T]) -> T:
        """Make a call that must not be repeated; raises UpstreamUnavailable when it may or may not have counted.

        A condition that failed, or a transaction for its items' sake, comes as botocore's ClientError; any other
        refusal as StoreRefused.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, call)

    async def repeatable[T](self, call: Call[T]) -> T:
        """Make a call that does no harm when it is made again, at most ``ATTEMPTS`` times; raises as ``once`` does."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self.once(call)
            except StoreRefused:
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
