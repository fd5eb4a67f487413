"""The stores that the settings name: SQLite and disk on one machine, DynamoDB and S3 where they are named."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

from obscura.adapters.disk import DiskContents
from obscura.adapters.dynamodb import (
    DynamoAddressSecret,
    DynamoDb,
    DynamoFiles,
    DynamoKeys,
    DynamoQuotas,
    DynamoRates,
    DynamoUploads,
    DynamoVerdicts,
    create_missing_tables,
)
from obscura.adapters.remembered_keys import KeyMemory, RememberedKeys
from obscura.adapters.s3 import S3Contents
from obscura.adapters.sqlite import (
    KeptAddressSecret,
    PatientDatabase,
    SqliteFiles,
    SqliteKeys,
    SqliteQuotas,
    SqliteRates,
    SqliteUploads,
    SqliteVerdicts,
    open_database,
)
from obscura.config import Settings
from obscura.pipeline.storeroom import Storeroom
from obscura.ports import AddressSecret, Contents, Keys, Quotas, Rates, Verdicts

KEY_FRESH_S = 30.0
"""How long a key of DynamoDB is not asked for again."""

ASKED_EACH_TIME = KeyMemory(fresh_s=0.0)
"""SQLite answers in microseconds, so a revoked key stops at once."""

KEY_IN_OUTAGE_S = 900.0
"""How long a key is believed while its store cannot be asked, where the operator wants that."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Who may ask, how often they did, and what is kept for them."""

    keys: Keys
    rates: Rates
    quotas: Quotas
    address_secret: AddressSecret
    storeroom: Storeroom
    verdicts: Verdicts


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open the stores of the settings for as long as the context holds; those on AWS connect at their first use."""
    given = settings.address_secret
    secret = given.get_secret_value().encode() if given else None
    in_outage_s = KEY_IN_OUTAGE_S if settings.store_outage == "keys" else 0.0
    with ExitStack() as stack:
        contents: Contents = DiskContents(settings.data_dir)
        if settings.bucket:
            contents = stack.enter_context(closing(S3Contents(settings.bucket)))
        local_secret = KeptAddressSecret(settings.data_dir, secret)
        if settings.table:
            database = stack.enter_context(closing(DynamoDb(settings.table)))
            kept = local_secret if secret else DynamoAddressSecret(database)
            yield dynamodb_stores(database, contents, kept, KeyMemory(KEY_FRESH_S, in_outage_s))
        else:
            connection = stack.enter_context(closing(open_database(settings.data_dir)))
            yield sqlite_stores(connection, contents, local_secret, replace(ASKED_EACH_TIME, in_outage_s=in_outage_s))


def local_stores(connection: sqlite3.Connection, data_dir: Path) -> Stores:
    """Give the stores of one machine on a connection from ``open_database``, with all else below ``data_dir``."""
    return sqlite_stores(connection, DiskContents(data_dir), KeptAddressSecret(data_dir), ASKED_EACH_TIME)


def sqlite_stores(
    connection: sqlite3.Connection, contents: Contents, address_secret: AddressSecret, memory: KeyMemory
) -> Stores:
    """Give the stores of a database on this machine."""
    database = PatientDatabase(connection)
    return Stores(
        keys=RememberedKeys(SqliteKeys(connection), memory),
        rates=SqliteRates(connection),
        quotas=SqliteQuotas(connection),
        address_secret=address_secret,
        storeroom=Storeroom(SqliteFiles(database), SqliteUploads(database), contents),
        verdicts=SqliteVerdicts(database),
    )


def dynamodb_stores(database: DynamoDb, contents: Contents, address_secret: AddressSecret, memory: KeyMemory) -> Stores:
    """Give the stores of tables on AWS."""
    return Stores(
        keys=RememberedKeys(DynamoKeys(database), memory),
        rates=DynamoRates(database),
        quotas=DynamoQuotas(database),
        address_secret=address_secret,
        storeroom=Storeroom(DynamoFiles(database), DynamoUploads(database), contents),
        verdicts=DynamoVerdicts(database),
    )


async def create_tables_of_a_stand_in(settings: Settings) -> None:
    """Create missing tables where ``AWS_ENDPOINT_URL`` stands in for AWS; on AWS the template makes them."""
    if settings.table is not None and os.environ.get("AWS_ENDPOINT_URL"):
        with closing(DynamoDb(settings.table)) as database:
            await create_missing_tables(database)
