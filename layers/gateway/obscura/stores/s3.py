"""Bytes under names, an object each; boto3 is opened at the first call, and never on the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from obscura.stores.aws_errors import store_failure, store_unreachable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

type Client = S3Client
type Call[T] = Callable[[Client], T]

CALLS_AT_ONCE = 16
CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 10.0
ATTEMPTS = 3

_STORE = "Obscura's file store"

_ABSENT = frozenset({"NoSuchKey", "AccessDenied"})
"""S3 API reference, GetObject: who may not list a bucket is told AccessDenied of an object that is not there."""


class S3BlobStore:
    """The objects of ``bucket``; region, credentials and ``AWS_ENDPOINT_URL`` come from boto3's own environment."""

    def __init__(self, bucket: str) -> None:
        """Nothing is opened yet."""
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE, "s3")
        self._opening = Lock()
        self._client: Client | None = None

    async def put(self, name: str, content: bytes) -> None:
        """Put an object: S3 shows it whole or not at all."""
        await self._run(lambda client: client.put_object(Bucket=self._bucket, Key=name, Body=content))

    async def get(self, name: str) -> bytes | None:
        """Get an object."""
        return await self._run(lambda client: self._get(client, name))

    async def delete(self, names: Sequence[str]) -> None:
        """Delete up to a thousand objects in one call."""
        if names:
            await self._run(lambda client: self._delete(client, names))

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    async def _run[T](self, call: Call[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, call)

    def _call[T](self, call: Call[T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call(self._opened())
        except (BotoCoreError, ClientError) as failure:
            raise store_failure(_STORE, failure) from None

    def _get(self, client: Client, name: str) -> bytes | None:
        from botocore.exceptions import ClientError

        try:
            return client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        except ClientError as refusal:
            if refusal.response.get("Error", {}).get("Code") in _ABSENT:
                return None
            raise

    def _delete(self, client: Client, names: Sequence[str]) -> None:
        told = client.delete_objects(Bucket=self._bucket, Delete={"Objects": [{"Key": name} for name in names]})
        if told.get("Errors"):
            raise store_unreachable(_STORE)

    def _opened(self) -> Client:
        with self._opening:
            if self._client is None:
                import boto3
                from botocore.config import Config

                self._client = boto3.client(
                    "s3",
                    config=Config(
                        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                        connect_timeout=CONNECT_TIMEOUT_S,
                        read_timeout=READ_TIMEOUT_S,
                        max_pool_connections=CALLS_AT_ONCE,
                    ),
                )
            return self._client
