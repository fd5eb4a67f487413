"""What ``obscura doctor`` finds about who may ask: the store, the token issuer's keys, the free tier."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import httpx

from obscura.adapters.dynamodb import TABLES, DynamoDb
from obscura.adapters.jwks import fetch_key_set
from obscura.cli.finding import Finding
from obscura.config import PREFIX, Settings
from obscura.errors import ObscuraError
from obscura.web.stores import open_stores


def examine_access(settings: Settings) -> Iterator[Finding]:
    """Look at all that admission needs."""
    yield _store(settings) if settings.table is None else _tables(settings.table)
    if settings.store_outage == "keys":
        yield Finding("Store outage", "warn", "holders of remembered keys go on uncounted")
    yield _tokens(settings)
    yield _free_tier(settings)


def _store(settings: Settings) -> Finding:
    try:
        live = asyncio.run(_live_keys(settings))
    except (OSError, sqlite3.Error) as failure:
        return Finding("Data folder", "bad", f"{settings.data_dir} cannot be used: {failure}")
    except ObscuraError as failure:
        return Finding("Data folder", "bad", f"{settings.data_dir} cannot be used: {failure.message}")
    return Finding("Data folder", "ok", f"{settings.data_dir}, {live} live keys")


async def _live_keys(settings: Settings) -> int:
    async with open_stores(settings) as stores:
        return sum(key.revoked_at is None for key in await stores.keys.all())


def _tables(prefix: str) -> Finding:
    """Look at each table; a laptop's stand-in for AWS gets its tables from ``obscura serve``."""
    with closing(DynamoDb(prefix)) as database:
        names = [database.table(table.name) for table in TABLES]
        try:
            asyncio.run(database.repeatable(lambda client: [client.describe_table(TableName=name) for name in names]))
        except ObscuraError as failure:
            return Finding("DynamoDB", "bad", f"tables {', '.join(names)}: {failure}")
    return Finding("DynamoDB", "ok", f"tables {', '.join(names)}")


def _tokens(settings: Settings) -> Finding:
    if settings.jwks_url is None:
        return Finding("JWTs", "ok", f"not taken; {PREFIX}JWKS_URL is not set")
    if not (settings.jwt_issuer and settings.jwt_audience):
        return Finding("JWTs", "bad", f"{PREFIX}JWT_ISSUER and {PREFIX}JWT_AUDIENCE must be set too")
    try:
        keys = asyncio.run(_published(settings.jwks_url))
    except ObscuraError as failure:
        return Finding("JWTs", "bad", f"{settings.jwks_url}: {failure.message}")
    mark = "ok" if settings.jwks_url.startswith("https:") else "warn"
    return Finding("JWTs", mark, f"of {settings.jwt_issuer}, {keys} public keys at {settings.jwks_url}")


async def _published(jwks_url: str) -> int:
    async with httpx.AsyncClient() as client:
        return len(await fetch_key_set(client, jwks_url))


def _free_tier(settings: Settings) -> Finding:
    if settings.free_tier_requests == 0:
        return Finding("Free tier", "ok", "closed")
    proxies = ", ".join(map(str, settings.trusted_proxies)) or "none: addresses are those of the connections"
    requests = "1 request" if settings.free_tier_requests == 1 else f"{settings.free_tier_requests} requests"
    return Finding("Free tier", "ok", f"{requests} a day for each network; trusted proxies {proxies}")
