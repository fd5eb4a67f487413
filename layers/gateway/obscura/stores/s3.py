"""Blobs in S3: one object each. boto3 is imported at the first call, and never on the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from obscura.stores.aws_errors import store_error, store_unreachable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

type Client = S3Client
type Call[T] = Callable[[Client], T]

MAX_CONCURRENT_CALLS = 16
CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 10.0
MAX_ATTEMPTS = 3

_STORE = "Obscura's file store"

_ABSENT = frozenset({"NoSuchKey", "AccessDenied"})
"""S3 API reference, GetObject: without the permission to list the bucket, a missing object is AccessDenied."""


class S3BlobStore:
    """The objects of ``bucket``; region, credentials and ``AWS_ENDPOINT_URL`` come from boto3's own environment."""

    def __init__(self, bucket: str) -> None:
        """No connection is opened yet."""
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT_CALLS, "s3")
        self._opening = Lock()
        self._client: Client | None = None

    async def put(self, name: str, content: bytes) -> None:
        """Put an object; S3 never returns a part of it."""
        await self._run(lambda client: client.put_object(Bucket=self._bucket, Key=name, Body=content))

    async def get(self, name: str) -> bytes | None:
        """Get an object."""
        return await self._run(lambda client: self._get(client, name))

    async def delete(self, names: Sequence[str]) -> None:
        """Delete up to a thousand objects in one call."""
        if names:
            await self._run(lambda client: self._delete(client, names))

    def close(self) -> None:
        """Close threads and connections."""
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    async def _run[T](self, call: Call[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, call)

    def _call[T](self, call: Call[T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call(self._open())
        except (BotoCoreError, ClientError) as error:
            raise store_error(_STORE, error) from None

    def _get(self, client: Client, name: str) -> bytes | None:
        from botocore.exceptions import ClientError

        try:
            return client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _ABSENT:
                return None
            raise

    def _delete(self, client: Client, names: Sequence[str]) -> None:
        response = client.delete_objects(Bucket=self._bucket, Delete={"Objects": [{"Key": name} for name in names]})
        if response.get("Errors"):
            raise store_unreachable(_STORE)

    def _open(self) -> Client:
        with self._opening:
            if self._client is None:
                import boto3
                from botocore.config import Config

                self._client = boto3.client(
                    "s3",
                    config=Config(
                        retries={"total_max_attempts": MAX_ATTEMPTS, "mode": "standard"},
                        connect_timeout=CONNECT_TIMEOUT_S,
                        read_timeout=READ_TIMEOUT_S,
                        max_pool_connections=MAX_CONCURRENT_CALLS,
                    ),
                )
            return self._client
