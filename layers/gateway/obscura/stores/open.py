"""Opening the stores of the settings: SQLite and disk on one machine, or DynamoDB and S3."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from obscura.auth.api_keys import CachingKeyStore, KeyCacheTtl
from obscura.auth.base import AddressSecret, ApiKeyStore, QuotaStore, RateCounter
from obscura.files.base import BlobStore, FileStorage
from obscura.moderation.base import VerdictCache
from obscura.settings import Settings
from obscura.stores.disk import DiskBlobStore
from obscura.stores.dynamodb.counters import DynamoQuotaStore, DynamoRateCounter
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.files import DynamoFileRepository, DynamoUploadRepository
from obscura.stores.dynamodb.keys import DynamoAddressSecret, DynamoKeyStore
from obscura.stores.dynamodb.tables import create_missing_tables
from obscura.stores.dynamodb.usage import DynamoBudgetStore, DynamoUsageStore
from obscura.stores.dynamodb.verdicts import DynamoVerdictCache
from obscura.stores.s3 import S3BlobStore
from obscura.stores.sqlite.counters import SqliteQuotaStore, SqliteRateCounter, SqliteVerdictCache
from obscura.stores.sqlite.database import Database, open_database
from obscura.stores.sqlite.files import SqliteFileRepository, SqliteUploadRepository
from obscura.stores.sqlite.keys import FileAddressSecret, SqliteKeyStore
from obscura.stores.sqlite.sweep import SqliteSweptRecords
from obscura.stores.sqlite.usage import SqliteBudgetStore, SqliteUsageStore
from obscura.usage.base import BudgetStore, UsageStore

if TYPE_CHECKING:
    from obscura.policy.base import PolicyStores

MIB = 1024 * 1024

KEY_CACHE_TTL_S = 30.0
"""How long a key of DynamoDB is cached; SQLite is read in microseconds, so that a revoked key stops at once."""

KEY_CACHE_OUTAGE_TTL_S = 900.0
"""How long a cached key is valid while its store cannot be reached, if the operator allows that."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that outlives a request: keys, counters, files, verdicts, usage, policies.

    ``open_policies`` returns the stores of policies on the same database; only what serves policies calls it, so that
    nothing else imports them.
    """

    keys: ApiKeyStore
    rates: RateCounter
    quotas: QuotaStore
    address_secret: AddressSecret
    storage: FileStorage
    verdicts: VerdictCache
    usage: UsageStore
    budgets: BudgetStore
    open_policies: "Callable[[], PolicyStores]"


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open the stores of the settings for as long as the context holds; those on AWS connect at their first use."""
    secret = settings.address_secret.get_secret_value().encode() if settings.address_secret else None
    outage_s = KEY_CACHE_OUTAGE_TTL_S if settings.store_outage == "cached_keys" else 0.0
    with ExitStack() as stack:
        blobs: BlobStore = DiskBlobStore(settings.data_dir, settings.disk_reserve_mb * MIB)
        if settings.bucket:
            blobs = stack.enter_context(closing(S3BlobStore(settings.bucket)))
        file_secret = FileAddressSecret(settings.data_dir, secret)
        if settings.table:
            tables = stack.enter_context(closing(DynamoDb(settings.table)))
            address_secret = file_secret if secret else DynamoAddressSecret(tables)
            yield dynamodb_stores(tables, blobs, address_secret, KeyCacheTtl(KEY_CACHE_TTL_S, outage_s))
        else:
            database = stack.enter_context(closing(open_database(settings.data_dir)))
            yield _sqlite_stores(database, blobs, file_secret, outage_s)


def local_stores(database: Database, data_dir: Path, disk_reserve_mb: int = 0) -> Stores:
    """Return the stores of one machine on a database from ``open_database``, with all else below ``data_dir``."""
    return _sqlite_stores(
        database, DiskBlobStore(data_dir, disk_reserve_mb * MIB), FileAddressSecret(data_dir), outage_s=0.0
    )


def _sqlite_stores(database: Database, blobs: BlobStore, address_secret: AddressSecret, outage_s: float) -> Stores:
    keys: ApiKeyStore = SqliteKeyStore(database)
    if outage_s:
        keys = CachingKeyStore(keys, KeyCacheTtl(normal_s=0.0, outage_s=outage_s))
    return Stores(
        keys=keys,
        rates=SqliteRateCounter(database),
        quotas=SqliteQuotaStore(database),
        address_secret=address_secret,
        storage=FileStorage(
            SqliteFileRepository(database),
            SqliteUploadRepository(database),
            blobs,
            SqliteSweptRecords(database),
            blobs if isinstance(blobs, DiskBlobStore) else None,
        ),
        verdicts=SqliteVerdictCache(database),
        usage=SqliteUsageStore(database),
        budgets=SqliteBudgetStore(database),
        open_policies=partial(_sqlite_policies, database),
    )


def dynamodb_stores(
    database: DynamoDb, blobs: BlobStore, address_secret: AddressSecret, key_ttl: KeyCacheTtl
) -> Stores:
    """Return the stores of tables on AWS."""
    return Stores(
        keys=CachingKeyStore(DynamoKeyStore(database), key_ttl),
        rates=DynamoRateCounter(database),
        quotas=DynamoQuotaStore(database),
        address_secret=address_secret,
        storage=FileStorage(
            DynamoFileRepository(database),
            DynamoUploadRepository(database),
            blobs,
            swept_blobs=blobs if isinstance(blobs, DiskBlobStore) else None,
        ),
        verdicts=DynamoVerdictCache(database),
        usage=DynamoUsageStore(database),
        budgets=DynamoBudgetStore(database),
        open_policies=partial(_dynamodb_policies, database),
    )


def _sqlite_policies(database: Database) -> "PolicyStores":
    from obscura.stores.sqlite.policies import sqlite_policies

    return sqlite_policies(database)


def _dynamodb_policies(database: DynamoDb) -> "PolicyStores":
    from obscura.stores.dynamodb.policies import dynamodb_policies

    return dynamodb_policies(database)


async def create_tables_on_emulator(settings: Settings) -> None:
    """Create missing tables if ``AWS_ENDPOINT_URL`` names an emulator; on AWS the template creates them."""
    if settings.table is not None and os.environ.get("AWS_ENDPOINT_URL"):
        with closing(DynamoDb(settings.table)) as database:
            await create_missing_tables(database)
