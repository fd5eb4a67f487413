"""Every kind of stores that the gateway can run on, opened empty for one test."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from unittest.mock import patch

from obscura.auth.api_keys import KeyCacheTtl
from obscura.stores.disk import DiskBlobStore
from obscura.stores.dynamodb import database
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.keys import DynamoAddressSecret
from obscura.stores.dynamodb.tables import create_missing_tables
from obscura.stores.open import Stores, dynamodb_stores, local_stores
from obscura.stores.sqlite.database import open_database

type OpenStores = Callable[[Path], AbstractAsyncContextManager[Stores]]


def a_table() -> str:
    """A prefix of table names that no other test has: moto's account is one for the process."""
    return f"obscura-{secrets.token_hex(6)}"


@asynccontextmanager
async def sqlite_file(folder: Path) -> AsyncIterator[Stores]:
    with closing(open_database(folder / "data")) as opened:
        yield local_stores(opened, folder / "data")


@asynccontextmanager
async def sqlite_in_memory(folder: Path) -> AsyncIterator[Stores]:
    with closing(open_database(None)) as opened:
        yield local_stores(opened, folder)


@asynccontextmanager
async def dynamodb(folder: Path) -> AsyncIterator[Stores]:
    from tests.support.aws_server import aws_server  # noqa: PLC0415 - moto takes longer to import than most tests

    # moto serves one call at a time: of 200 at once the last waits for seconds, on a busy machine for minutes.
    with aws_server(), patch.object(database, "READ_TIMEOUT_S", 300.0), closing(DynamoDb(a_table())) as opened:
        await create_missing_tables(opened)
        yield dynamodb_stores(opened, DiskBlobStore(folder), DynamoAddressSecret(opened), KeyCacheTtl(0.0))


STORES: list[OpenStores] = [sqlite_file, sqlite_in_memory, dynamodb]


class CallCounter:
    """Counts the HTTP requests that boto3 makes; made before the clients whose requests it counts."""

    def __init__(self) -> None:
        import boto3  # noqa: PLC0415 - only DynamoDB's tests need it

        self.calls: list[str] = []
        boto3.setup_default_session()
        assert boto3.DEFAULT_SESSION is not None
        boto3.DEFAULT_SESSION.events.register("before-send.dynamodb", self._count)

    def _count(self, request: object, event_name: str, **_: object) -> None:
        self.calls.append(event_name.rpartition(".")[2])
