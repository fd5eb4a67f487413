"""``obscura doctor``: check what is configured, reachable and missing."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import httpx
import typer
from PIL import features
from rich.markup import escape

from obscura.auth.jwt.jwks import fetch_key_set
from obscura.bootstrap import missing_sink_secrets, open_memory, request_limits, validate_settings
from obscura.cli.console import messages, output, table
from obscura.clock import SystemClock
from obscura.dialects.registry import require_dialect
from obscura.documents.base import MAX_CHILD_BYTES
from obscura.documents.child_process import pdfium_path
from obscura.errors import ObscuraError
from obscura.fetch.policy import parse_origin
from obscura.hashes.blocked import HashListSource, load
from obscura.httpclient.transport import FastTransport
from obscura.imaging.container import ImageFormat
from obscura.imaging.decode_memory import MAX_DECODE_BYTES
from obscura.imaging.formats import FORMATS
from obscura.machine_memory import MIB, usable_memory_bytes
from obscura.moderation.endpoints import read_endpoints
from obscura.settings import PREFIX, RENAMED, ConfigurationError, Settings, deprecations
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.tables import TABLES
from obscura.stores.hash_lists import StoredHashLists
from obscura.stores.open import open_stores

REACH_TIMEOUT_S = 5.0

type Verdict = Literal["ok", "warn", "bad"]
_MARKS: dict[Verdict, str] = {"ok": "[green]ok[/green]", "warn": "[yellow]look[/yellow]", "bad": "[red]missing[/red]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    subject: str
    verdict: Verdict
    detail: str


def doctor() -> None:
    """Report what is configured, what is reachable and what is missing; exit with status 1 if anything is missing."""
    settings = Settings()
    rows = table("What", "", "Finding", folding=["Finding"])
    with messages.status("Checking …"):
        findings = list(examine(settings))
    for finding in findings:
        rows.add_row(finding.subject, _MARKS[finding.verdict], escape(finding.detail))
    output.print(rows)
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Check everything that a request needs."""
    yield Finding("Python", "ok", sys.version.split()[0])
    turbo = features.check_feature("libjpeg_turbo")
    yield Finding("libjpeg-turbo", "ok" if turbo else "warn", "present" if turbo else "absent: JPEGs decode slowly")
    yield from (_decoder(image_format) for image_format in FORMATS.values() if image_format.package)
    renders = sys.platform != "win32" and pdfium_path() is not None
    yield Finding("PDFium", "ok" if renders else "warn", "present" if renders else "absent: PDFs are refused")
    yield _memory(settings)
    yield from examine_access(settings)
    if settings.models is not None:
        yield _catalog(settings)
        yield from _bedrock(settings)
    elif settings.bedrock_region:
        yield from _bedrock(settings)
    elif settings.upstream_url:
        yield _reach("Upstream", settings.upstream_url, settings.upstream_key is not None)
        yield from _unknown_dialects(settings)
    else:
        yield Finding("Upstream", "warn", f"the built-in demo model; set {PREFIX}UPSTREAM_URL for a real one")
    yield from _moderation(settings)
    yield from map(_hash_list, settings.blocked_hashes)
    yield from (_allowed_origin(origin) for origin in settings.fetch_allow)
    yield from _policy_sinks(settings)
    yield from (Finding(found.setting, "warn", found.hint) for found in deprecations(os.environ))
    yield from _unknown_settings()


def examine_access(settings: Settings) -> Iterator[Finding]:
    """Check the stores, the JWT keys and the free tier."""
    yield _data_folder(settings) if settings.table is None else _tables(settings.table)
    if settings.store_outage == "cached_keys":
        yield Finding("Store outage", "warn", "callers with a cached key are admitted and not counted")
    yield _jwts(settings)
    yield _free_tier(settings)


def _decoder(image_format: ImageFormat) -> Finding:
    if image_format.is_available:
        return Finding(image_format.name, "ok", "decoder present")
    package = f"{image_format.package}".replace("_", "-")
    return Finding(image_format.name, "warn", f"no decoder: its images are rejected; install {package}")


def _memory(settings: Settings) -> Finding:
    """Say what requests may hold at once, and which limits that lowers."""
    memory = open_memory(settings)
    limits = request_limits(settings, memory)
    usable_bytes = usable_memory_bytes(os.environ)
    budget = f"{memory.total_bytes // MIB} MiB for bodies and pixels, of {usable_bytes // MIB} MiB"
    if memory.total_bytes > usable_bytes // 2:
        return Finding("Memory", "warn", f"{budget}: over half; set {PREFIX}MEMORY_BUDGET_MB lower")
    lowered = [
        f"{name} of {limit_bytes // MIB} MiB"
        for name, limit_bytes, usual_bytes in (
            ("a body", limits.body_bytes, settings.max_body_bytes),
            ("an image", limits.image.raw_bytes, settings.max_image_bytes),
            ("a stored PDF", limits.document.stored_bytes, settings.max_stored_document_bytes),
            ("rendering a PDF", limits.document.memory_bytes, MAX_CHILD_BYTES),
            ("decoding one image", limits.image.decode_bytes, MAX_DECODE_BYTES),
        )
        if limit_bytes < usual_bytes
    ]
    if lowered:
        return Finding("Memory", "warn", f"{budget}; that lowers limits: {', '.join(lowered)} at most")
    return Finding("Memory", "ok", budget)


def _data_folder(settings: Settings) -> Finding:
    try:
        live = asyncio.run(_live_keys(settings))
    except (OSError, sqlite3.Error) as error:
        return Finding("Data folder", "bad", f"{settings.data_dir} cannot be used: {error}")
    except ObscuraError as error:
        return Finding("Data folder", "bad", f"{settings.data_dir} cannot be used: {error.message}")
    return Finding("Data folder", "ok", f"{settings.data_dir}, {live} live keys")


async def _live_keys(settings: Settings) -> int:
    async with open_stores(settings) as stores:
        return sum(key.revoked_at is None for key in await stores.keys.list_all())


def _tables(prefix: str) -> Finding:
    """Check each table; on an emulator of AWS ``obscura serve`` creates them."""
    with closing(DynamoDb(prefix)) as database:
        names = [database.table(table.name) for table in TABLES]
        try:
            asyncio.run(
                database.call_idempotent(lambda client: [client.describe_table(TableName=name) for name in names])
            )
        except ObscuraError as error:
            return Finding("DynamoDB", "bad", f"tables {', '.join(names)}: {error}")
    return Finding("DynamoDB", "ok", f"tables {', '.join(names)}")


def _jwts(settings: Settings) -> Finding:
    if settings.jwks_url is None:
        return Finding("JWTs", "ok", f"not accepted; {PREFIX}JWKS_URL is not set")
    if not (settings.jwt_issuer and settings.jwt_audience):
        return Finding("JWTs", "bad", f"{PREFIX}JWT_ISSUER and {PREFIX}JWT_AUDIENCE must be set too")
    try:
        keys = asyncio.run(_count_jwks(settings.jwks_url))
    except ObscuraError as error:
        return Finding("JWTs", "bad", f"{settings.jwks_url}: {error.message}")
    verdict: Verdict = "ok" if settings.jwks_url.startswith("https:") else "warn"
    return Finding("JWTs", verdict, f"of {settings.jwt_issuer}, {keys} public keys at {settings.jwks_url}")


async def _count_jwks(jwks_url: str) -> int:
    async with httpx.AsyncClient() as client:
        return len(await fetch_key_set(client, jwks_url))


def _free_tier(settings: Settings) -> Finding:
    if settings.free_tier_requests == 0:
        return Finding("Free tier", "ok", "closed")
    proxies = ", ".join(map(str, settings.trusted_proxies)) or "none: a client's address is that of its connection"
    requests = "1 request" if settings.free_tier_requests == 1 else f"{settings.free_tier_requests} requests"
    return Finding("Free tier", "ok", f"{requests} a day for each network; trusted proxies {proxies}")


def _catalog(settings: Settings) -> Finding:
    try:
        validate_settings(settings.model_copy(update={"fetch_allow": (), "jwks_url": None, "blocked_hashes": ()}))
    except ConfigurationError as error:
        return Finding("Catalogue", "bad", str(error))
    return Finding("Catalogue", "ok", f"{settings.models}")


def _bedrock(settings: Settings) -> Iterator[Finding]:
    from obscura.cli.doctor_bedrock import bedrock_findings

    for subject, verdict, detail in bedrock_findings(settings):
        yield Finding(subject, verdict, detail)


def _hash_list(source: str) -> Finding:
    try:
        loaded = load(HashListSource.parse(source), StoredHashLists())
    except ValueError as error:
        return Finding("Hash list", "bad", f"{PREFIX}BLOCKED_HASHES: {error}")
    if loaded is None or not len(loaded):
        return Finding("Hash list", "warn", f"{source} has no hash to compare with")
    skipped = f", {loaded.other_entries:,} entries of other types" if loaded.other_entries else ""
    return Finding("Hash list", "ok", f"{loaded.source.location}, {len(loaded):,} hashes{skipped}")


def _unknown_dialects(settings: Settings) -> Iterator[Finding]:
    for dialect in settings.upstream_dialects:
        try:
            require_dialect(dialect)
        except ValueError as error:
            yield Finding("Upstream", "bad", f"{PREFIX}UPSTREAM_DIALECTS: {error}")


def _moderation(settings: Settings) -> Iterator[Finding]:
    match settings.effective_moderation:
        case "off":
            yield Finding("Moderation", "warn", "off: images and text reach the model unchecked")
        case "demo":
            yield Finding("Moderation", "warn", "the demo: it flags one word and one image")
        case "openai" if settings.moderation_urls:
            try:
                endpoints = read_endpoints(settings)
            except ConfigurationError as error:
                yield Finding("Moderation", "bad", str(error))
            else:
                yield from (_reach("Moderation", endpoint.url, endpoint.key is not None) for endpoint in endpoints)
        case "openai":
            if settings.moderation_lacks_key:
                yield Finding("Moderation", "bad", f"{PREFIX}MODERATION_KEY is not set: every request will get a 503")
            else:
                yield _reach("Moderation", settings.moderation_url, settings.effective_moderation_key is not None)


def _reach(subject: str, base_url: str, has_key: bool) -> Finding:
    """Send one request without the key: any response shows that the host is reachable."""
    with_key = "with a key" if has_key else "without a key"
    try:
        response = httpx.get(f"{base_url}/models", timeout=REACH_TIMEOUT_S)
    except httpx.HTTPError as error:
        return Finding(subject, "bad", f"{base_url} cannot be reached ({type(error).__name__})")
    return Finding(subject, "ok", f"{base_url} answers (status {response.status_code}), {with_key}")


def _policy_sinks(settings: Settings) -> Iterator[Finding]:
    """Name the sinks of decision events beside the log, and the origins of checks that are exempt from the guard."""
    from obscura.policy_events.open import sinks_of

    for sink in sinks_of(settings, FastTransport(), SystemClock()):
        sink.close()
        yield Finding("Policy events", "ok", f"to the log and to {sink.name}")
    yield from (Finding("Policy events", "bad", missing) for missing in missing_sink_secrets(settings))
    for origin in settings.policy_check_allow:
        yield Finding("Policy checks", "warn", f"{origin} is asked without the rules on scheme, port and address")


def _allowed_origin(origin: str) -> Finding:
    try:
        parse_origin(origin)
    except ValueError as error:
        return Finding("Image origin", "bad", f"{PREFIX}FETCH_ALLOW: {error}")
    return Finding("Image origin", "warn", f"{origin} is exempt from the address check")


def _unknown_settings() -> Iterator[Finding]:
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | RENAMED.keys()
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            yield Finding(name, "warn", "not a setting of this version: misspelt?")
