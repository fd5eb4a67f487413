"""The stores that the settings name: SQLite on one machine, DynamoDB with a table's name."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from obscura.adapters.dynamodb import (
    DynamoAddressSecret,
    DynamoDb,
    DynamoKeys,
    DynamoQuotas,
    DynamoRates,
    create_missing_tables,
)
from obscura.adapters.remembered_keys import KeyMemory, RememberedKeys
from obscura.adapters.sqlite import (
    KeptAddressSecret,
    SqliteKeys,
    SqliteQuotas,
    SqliteRates,
    kept_secret,
    open_database,
)
from obscura.config import Settings
from obscura.ports import AddressSecret, Keys, Quotas, Rates

KEY_FRESH_S = 30.0
"""How long a key of DynamoDB is not asked for again."""

ASKED_EACH_TIME = KeyMemory(fresh_s=0.0)
"""SQLite answers in microseconds, so a revoked key stops at once."""

KEY_IN_OUTAGE_S = 900.0
"""How long a key is believed while its store cannot be asked, where the operator wants that."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Who may ask, and how often they did."""

    keys: Keys
    rates: Rates
    quotas: Quotas
    address_secret: AddressSecret


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open the stores of the settings for as long as the context holds."""
    given = settings.address_secret
    secret = given.get_secret_value().encode() if given else None
    in_outage_s = KEY_IN_OUTAGE_S if settings.store_outage == "keys" else 0.0
    if settings.table is None:
        with closing(open_database(settings.data_dir)) as connection:
            yield sqlite_stores(connection, settings.data_dir, secret, KeyMemory(0.0, in_outage_s))
        return
    with closing(DynamoDb(settings.table)) as database:
        yield Stores(
            keys=RememberedKeys(DynamoKeys(database), KeyMemory(KEY_FRESH_S, in_outage_s)),
            rates=DynamoRates(database),
            quotas=DynamoQuotas(database),
            address_secret=KeptAddressSecret(secret) if secret else DynamoAddressSecret(database),
        )


def sqlite_stores(
    connection: sqlite3.Connection,
    data_dir: Path | None,
    secret: bytes | None = None,
    memory: KeyMemory = ASKED_EACH_TIME,
) -> Stores:
    """Give the stores of one machine, on a connection from ``open_database(data_dir)``."""
    return Stores(
        keys=RememberedKeys(SqliteKeys(connection), memory),
        rates=SqliteRates(connection),
        quotas=SqliteQuotas(connection),
        address_secret=KeptAddressSecret(secret or kept_secret(data_dir)),
    )


async def create_tables_of_a_stand_in(settings: Settings) -> None:
    """Create missing tables where ``AWS_ENDPOINT_URL`` stands in for AWS; on AWS the template makes them."""
    if settings.table is not None and os.environ.get("AWS_ENDPOINT_URL"):
        with closing(DynamoDb(settings.table)) as database:
            await create_missing_tables(database)
