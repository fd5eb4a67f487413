"""Each store of files, uploads, bytes and verdicts, empty, for as long as a context holds."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import boto3

from obscura.adapters.disk import DiskContents
from obscura.adapters.dynamodb import DynamoDb, DynamoFiles, DynamoUploads, DynamoVerdicts, create_missing_tables
from obscura.adapters.s3 import S3Contents
from obscura.adapters.sqlite import PatientDatabase, SqliteFiles, SqliteUploads, SqliteVerdicts, open_database
from obscura.ports import Contents, Files, Uploads, Verdicts


@dataclass(frozen=True)
class Stores:
    """``name`` is that of the bucket, and how the tables' names begin."""

    files: Files
    uploads: Uploads
    verdicts: Verdicts
    contents: Contents
    name: str | None = None


@asynccontextmanager
async def on_this_machine(folder: Path) -> AsyncIterator[Stores]:
    with closing(open_database(None)) as connection:
        database = PatientDatabase(connection)
        yield Stores(SqliteFiles(database), SqliteUploads(database), SqliteVerdicts(database), DiskContents(folder))


@asynccontextmanager
async def on_aws(folder: Path) -> AsyncIterator[Stores]:
    """Tables and a bucket of their own in the account that the environment names."""
    name = f"obscura-{secrets.token_hex(4)}"
    await asyncio.to_thread(create_bucket, name)
    with closing(DynamoDb(name)) as database, closing(S3Contents(name)) as contents:
        await create_missing_tables(database)
        yield Stores(DynamoFiles(database), DynamoUploads(database), DynamoVerdicts(database), contents, name)


def create_bucket(name: str) -> None:
    with closing(boto3.client("s3")) as client:
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
