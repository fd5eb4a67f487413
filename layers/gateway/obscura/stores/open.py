"""The stores that the settings name: SQLite and disk on one machine, DynamoDB and S3 where they are named."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

from obscura.auth.base import AddressSecret, ApiKeyStore, QuotaStore, RateCounter
from obscura.auth.key_cache import CachingKeyStore, KeyCacheTtl
from obscura.files.base import BlobStore, FileStorage
from obscura.moderation.base import VerdictCache
from obscura.settings import Settings
from obscura.stores.disk import DiskBlobStore
from obscura.stores.dynamodb.counters import DynamoQuotaStore, DynamoRateCounter, DynamoVerdictCache
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.files import DynamoFileRepository, DynamoUploadRepository
from obscura.stores.dynamodb.keys import DynamoAddressSecret, DynamoKeyStore
from obscura.stores.dynamodb.tables import create_missing_tables
from obscura.stores.s3 import S3BlobStore
from obscura.stores.sqlite.counters import SqliteQuotaStore, SqliteRateCounter, SqliteVerdictCache
from obscura.stores.sqlite.database import Database, open_database
from obscura.stores.sqlite.files import SqliteFileRepository, SqliteUploadRepository
from obscura.stores.sqlite.keys import FileAddressSecret, SqliteKeyStore

KEY_FRESH_S = 30.0
"""How long a key of DynamoDB is not asked for again."""

ASKED_EACH_TIME = KeyCacheTtl(fresh_s=0.0)
"""SQLite answers in microseconds, so a revoked key stops at once."""

KEY_IN_OUTAGE_S = 900.0
"""How long a key is believed while its store cannot be asked, where the operator wants that."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Who may ask, how often they did, and what is kept for them."""

    keys: ApiKeyStore
    rates: RateCounter
    quotas: QuotaStore
    address_secret: AddressSecret
    storage: FileStorage
    verdicts: VerdictCache


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open the stores of the settings for as long as the context holds; those on AWS connect at their first use."""
    given = settings.address_secret
    secret = given.get_secret_value().encode() if given else None
    in_outage_s = KEY_IN_OUTAGE_S if settings.store_outage == "keys" else 0.0
    with ExitStack() as stack:
        blobs: BlobStore = DiskBlobStore(settings.data_dir)
        if settings.bucket:
            blobs = stack.enter_context(closing(S3BlobStore(settings.bucket)))
        local_secret = FileAddressSecret(settings.data_dir, secret)
        if settings.table:
            database = stack.enter_context(closing(DynamoDb(settings.table)))
            kept = local_secret if secret else DynamoAddressSecret(database)
            yield dynamodb_stores(database, blobs, kept, KeyCacheTtl(KEY_FRESH_S, in_outage_s))
        else:
            connection = stack.enter_context(closing(open_database(settings.data_dir)))
            yield sqlite_stores(connection, blobs, local_secret, replace(ASKED_EACH_TIME, in_outage_s=in_outage_s))


def local_stores(connection: sqlite3.Connection, data_dir: Path) -> Stores:
    """Return the stores of one machine on a connection from ``open_database``, with all else below ``data_dir``."""
    return sqlite_stores(connection, DiskBlobStore(data_dir), FileAddressSecret(data_dir), ASKED_EACH_TIME)


def sqlite_stores(
    connection: sqlite3.Connection, blobs: BlobStore, address_secret: AddressSecret, memory: KeyCacheTtl
) -> Stores:
    """Return the stores of a database on this machine."""
    database = Database(connection)
    return Stores(
        keys=CachingKeyStore(SqliteKeyStore(connection), memory),
        rates=SqliteRateCounter(connection),
        quotas=SqliteQuotaStore(connection),
        address_secret=address_secret,
        storage=FileStorage(SqliteFileRepository(database), SqliteUploadRepository(database), blobs),
        verdicts=SqliteVerdictCache(database),
    )


def dynamodb_stores(database: DynamoDb, blobs: BlobStore, address_secret: AddressSecret, memory: KeyCacheTtl) -> Stores:
    """Return the stores of tables on AWS."""
    return Stores(
        keys=CachingKeyStore(DynamoKeyStore(database), memory),
        rates=DynamoRateCounter(database),
        quotas=DynamoQuotaStore(database),
        address_secret=address_secret,
        storage=FileStorage(DynamoFileRepository(database), DynamoUploadRepository(database), blobs),
        verdicts=DynamoVerdictCache(database),
    )


async def create_tables_on_emulator(settings: Settings) -> None:
    """Create missing tables where ``AWS_ENDPOINT_URL`` stands in for AWS; on AWS the template makes them."""
    if settings.table is not None and os.environ.get("AWS_ENDPOINT_URL"):
        with closing(DynamoDb(settings.table)) as database:
            await create_missing_tables(database)
