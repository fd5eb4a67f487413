"""Where things are kept: on this machine, or on AWS where a table or a bucket is named."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from obscura.adapters.disk import DiskContents
from obscura.adapters.dynamodb import DynamoDb, DynamoFiles, DynamoUploads, DynamoVerdicts
from obscura.adapters.s3 import S3Contents
from obscura.adapters.sqlite import LazyDatabase, SqliteFiles, SqliteUploads, SqliteVerdicts
from obscura.config import Settings
from obscura.pipeline.storeroom import Storeroom
from obscura.ports import Contents, Verdicts


@dataclass(frozen=True, slots=True)
class Keeping:
    """Stored files, and clean verdicts, unless the operator wants none remembered."""

    storeroom: Storeroom
    verdicts: Verdicts | None


@asynccontextmanager
async def open_keeping(settings: Settings) -> AsyncIterator[Keeping]:
    """Open the stores that the settings name; none of them touches disk or network before its first use."""
    with ExitStack() as stack:
        contents: Contents = DiskContents(settings.data_dir)
        if settings.bucket:
            contents = stack.enter_context(closing(S3Contents(settings.bucket)))
        if settings.table:
            dynamo = stack.enter_context(closing(DynamoDb(settings.table)))
            storeroom = Storeroom(DynamoFiles(dynamo), DynamoUploads(dynamo), contents)
            verdicts: Verdicts = DynamoVerdicts(dynamo)
        else:
            database = stack.enter_context(closing(LazyDatabase(settings.data_dir)))
            storeroom = Storeroom(SqliteFiles(database), SqliteUploads(database), contents)
            verdicts = SqliteVerdicts(database)
        yield Keeping(storeroom, verdicts if settings.remember_verdicts else None)
