"""Each kind of stores of files, uploads, blobs and verdicts, empty, for as long as a context holds."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import boto3

from obscura.files.base import BlobStore, FileRepository, UploadRepository
from obscura.files.response_records import ResponseRepository
from obscura.moderation.base import VerdictCache
from obscura.stores.disk import DiskBlobStore
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.files import DynamoFileRepository, DynamoUploadRepository
from obscura.stores.dynamodb.responses import DynamoResponseRepository
from obscura.stores.dynamodb.tables import create_missing_tables
from obscura.stores.dynamodb.verdicts import DynamoVerdictCache
from obscura.stores.s3 import S3BlobStore
from obscura.stores.sqlite.counters import SqliteVerdictCache
from obscura.stores.sqlite.database import open_database
from obscura.stores.sqlite.files import SqliteFileRepository, SqliteUploadRepository
from obscura.stores.sqlite.responses import SqliteResponseRepository


@dataclass(frozen=True)
class Stores:
    """``name`` is the bucket's name and the prefix of the tables' names."""

    files: FileRepository
    uploads: UploadRepository
    verdicts: VerdictCache
    blobs: BlobStore
    responses: ResponseRepository
    name: str = ""


type OpenFileStores = Callable[[Path], AbstractAsyncContextManager[Stores]]


type OpenStores = Callable[[Path], AbstractAsyncContextManager[Stores]]


@asynccontextmanager
async def on_this_machine(folder: Path) -> AsyncIterator[Stores]:
    with closing(open_database(None)) as database:
        yield Stores(
            SqliteFileRepository(database),
            SqliteUploadRepository(database),
            SqliteVerdictCache(database),
            DiskBlobStore(folder),
            SqliteResponseRepository(database),
        )


@asynccontextmanager
async def on_aws(folder: Path) -> AsyncIterator[Stores]:
    """Tables and a bucket of their own in the account that the environment names."""
    name = f"obscura-{secrets.token_hex(4)}"
    await asyncio.to_thread(create_bucket, name)
    with closing(DynamoDb(name)) as database, closing(S3BlobStore(name)) as blobs:
        await create_missing_tables(database)
        yield Stores(
            DynamoFileRepository(database),
            DynamoUploadRepository(database),
            DynamoVerdictCache(database),
            blobs,
            DynamoResponseRepository(database),
            name,
        )


def create_bucket(name: str) -> None:
    with closing(boto3.client("s3")) as client:
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
