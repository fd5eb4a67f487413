"""The composition root: opens the services of the pipeline by the settings."""

import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING
from urllib.request import getproxies

import httpx

from obscura.auth.base import TokenVerifier
from obscura.auth.jwt.jwks import JwksCache, fetch_key_set
from obscura.auth.jwt.verifier import JwtVerifier, TokenIssuer
from obscura.auth.limits import AccessControl, RateLimits
from obscura.bootstrap_catalog import load_catalog
from obscura.bootstrap_policies import LazyPolicies, policy_floor
from obscura.bootstrap_upstreams import demo_model, open_catalog, open_moderator
from obscura.clock import Clock, SystemClock
from obscura.dialects.base import ContentLimits
from obscura.dialects.registry import require_dialect
from obscura.documents.base import DocumentLimits
from obscura.documents.render import DocumentRenderer, child_memory_bytes
from obscura.execution import ImageExecutor
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from obscura.fetch.policy import parse_origin
from obscura.files.base import StorageLimits
from obscura.files.responses import ResponseStore
from obscura.files.service import FileService
from obscura.httpclient.transport import FastTransport
from obscura.imaging import ImageLimits, warm_up
from obscura.imaging.decode_memory import MAX_DECODE_BYTES
from obscura.machine_memory import usable_memory_bytes
from obscura.memory_budget import DEFAULT_PART, MIN_BYTES, MemoryBudget, budget_bytes
from obscura.pipeline.image_cache import ImageCache
from obscura.pipeline.load_images import MAX_VIDEO_BYTES
from obscura.pipeline.services import MAX_FETCHED_BYTES, RequestLimits, Services
from obscura.settings import PREFIX, ConfigurationError, Settings
from obscura.stores.open import MIB, Stores, open_stores
from obscura.upstreams.headers import CHOICES
from obscura.upstreams.http import ClientTransport
from obscura.usage.ledger import UsageLedger

if TYPE_CHECKING:
    from obscura.hashes.blocked import BlockedHashes


def validate_settings(settings: Settings) -> None:
    """Validate what pydantic alone cannot, before anything starts; raises ConfigurationError that names the setting."""
    allowed = {"FETCH_ALLOW": settings.fetch_allow, "POLICY_CHECK_ALLOW": settings.policy_check_allow}
    for setting, origins in allowed.items():
        try:
            for origin in origins:
                parse_origin(origin)
        except ValueError as invalid:
            raise ConfigurationError(f"{PREFIX}{setting}: {invalid}") from None
    try:
        for dialect in settings.upstream_dialects:
            require_dialect(dialect)
    except ValueError as invalid:
        raise ConfigurationError(f"{PREFIX}UPSTREAM_DIALECTS: {invalid}") from None
    if unknown := settings.pass_headers - CHOICES:
        raise ConfigurationError(
            f"{PREFIX}PASS_HEADERS: {min(unknown)} may not be passed; {', '.join(sorted(CHOICES))} may."
        )
    if settings.jwks_url is not None and not (settings.jwt_issuer and settings.jwt_audience):
        raise ConfigurationError(
            f"{PREFIX}JWKS_URL needs {PREFIX}JWT_ISSUER and {PREFIX}JWT_AUDIENCE: "
            "the issuer and the audience of the JWTs that are accepted."
        )
    _validate_workers(settings)
    if settings.moderation_urls:
        from obscura.moderation.endpoints import read_endpoints

        read_endpoints(settings)
    policy_floor(settings)
    for source in settings.blocked_hashes:
        _validate_hash_list(source)
    for missing in missing_sink_secrets(settings):
        raise ConfigurationError(missing)
    if settings.models is not None:
        from obscura.upstreams.catalog_file import CatalogError, FileCatalog

        try:
            document, keys = load_catalog(settings)
            FileCatalog(document, lambda _entry, _key: demo_model(), keys)
        except CatalogError as invalid:
            raise ConfigurationError(f"{PREFIX}MODELS: {invalid}") from None


def _validate_workers(settings: Settings) -> None:
    if (least_mb := (settings.workers or 1) * MIN_BYTES // MIB) > (settings.memory_budget_mb or least_mb):
        raise ConfigurationError(
            f"{PREFIX}MEMORY_BUDGET_MB: {settings.workers} workers share it, and each needs {MIN_BYTES // MIB}. "
            f"Set {least_mb} or more, or fewer workers."
        )


def _validate_hash_list(source: str) -> None:
    from obscura.hashes.blocked import HashListSource, read
    from obscura.hashes.list_file import HashListError
    from obscura.stores.hash_lists import StoredHashLists

    try:
        read(HashListSource.parse(source), StoredHashLists())
    except HashListError as unreadable:
        raise ConfigurationError(f"{PREFIX}BLOCKED_HASHES: {unreadable}") from None
    except ValueError as invalid:
        raise ConfigurationError(f"{PREFIX}BLOCKED_HASHES: {invalid}") from None


@asynccontextmanager
async def _blocked_hashes(settings: Settings) -> AsyncIterator["BlockedHashes | None"]:
    """Load the hash lists and keep them up to date; None without any, and then nothing of theirs is imported."""
    if not settings.blocked_hashes:
        yield None
        return
    from obscura.hashes.blocked import BlockedHashes, HashListSource
    from obscura.stores.hash_lists import StoredHashLists

    def report(reason: str) -> None:
        logging.getLogger("obscura").error("hash_list_unreadable", extra={"fields": {"reason": reason}})

    sources = [HashListSource.parse(source) for source in settings.blocked_hashes]
    lists = await BlockedHashes.open(sources, StoredHashLists(), time.monotonic, report)
    try:
        yield lists
    finally:
        await lists.aclose()


def missing_sink_secrets(settings: Settings) -> Iterator[str]:
    """Yield, for each sink of decision events that has a URL and lacks its secret, what it needs."""
    if settings.policy_webhook_url and not settings.policy_webhook_secret:
        yield f"{PREFIX}POLICY_WEBHOOK_URL needs {PREFIX}POLICY_WEBHOOK_SECRET."
    if settings.policy_splunk_url and not settings.policy_splunk_token:
        yield f"{PREFIX}POLICY_SPLUNK_URL needs {PREFIX}POLICY_SPLUNK_TOKEN."


@asynccontextmanager
async def open_services(
    settings: Settings, stores: Stores | None = None, clock: Clock | None = None
) -> AsyncIterator[Services]:
    """Open the services for as long as the context holds.

    ``stores`` replace those of the settings, ``clock`` the system's.
    """
    warm_up()
    workers = settings.workers or 1
    memory = open_memory(settings)
    limits = request_limits(settings, memory)
    async with AsyncExitStack() as stack:
        transport: httpx.AsyncBaseTransport = FastTransport()
        client = await stack.enter_async_context(httpx.AsyncClient(transport=None if getproxies() else transport))
        if getproxies():  # httpx's client alone knows which hosts they are for
            transport = ClientTransport(client)
        if stores is None:
            stores = await stack.enter_async_context(open_stores(settings))
        clock = clock or SystemClock()
        executor = stack.enter_context(closing(ImageExecutor()))
        documents = stack.enter_context(closing(DocumentRenderer()))
        hash_lists = await stack.enter_async_context(_blocked_hashes(settings))
        file_service = FileService(
            stores.storage,
            executor,
            limits.image,
            clock,
            documents,
            limits.document,
            StorageLimits(settings.project_storage_mb * MIB, settings.project_files),
            hash_sources=hash_lists is not None,
        )
        yield Services(
            access_control=open_access_control(settings, stores, client, clock),
            images=await stack.enter_async_context(_fetcher(settings, limits.image.raw_bytes)),
            videos=await stack.enter_async_context(_fetcher(settings, min(MAX_VIDEO_BYTES, memory.body_bytes))),
            document_files=await stack.enter_async_context(_fetcher(settings, limits.document.raw_bytes)),
            documents=documents,
            moderator=open_moderator(settings, transport),
            catalog=open_catalog(settings, transport, stack),
            limits=limits,
            executor=executor,
            file_service=file_service,
            verdicts=stores.verdicts if settings.cache_verdicts else None,
            open_policies=LazyPolicies(settings, stores, transport, clock, stack),
            usage=await stack.enter_async_context(UsageLedger(stores.usage).running()),
            budgets=stores.budgets,
            blocked_hashes=hash_lists,
            image_cache=ImageCache(settings.image_cache_mb * MIB // workers) if settings.image_cache_mb else None,
            responses=(
                ResponseStore(stores.responses, file_service, settings.stored_responses_hours * 3600)
                if settings.store_responses
                else None
            ),
            memory=memory,
        )


def open_memory(settings: Settings) -> MemoryBudget:
    """Return the memory budget: this process's share of what is set, or the default for what it may use (ADR 147)."""
    if settings.memory_budget_mb is not None:
        return MemoryBudget(budget_bytes(settings.memory_budget_mb, 0) // (settings.workers or 1))
    return MemoryBudget(budget_bytes(None, _usable_bytes(settings)))


def process_memory_bytes(settings: Settings) -> int:
    """Return what this process may use, or what the budget that is set is the default part of, if that is less."""
    set_mb = settings.memory_budget_mb
    usable_bytes = _usable_bytes(settings)
    return usable_bytes if set_mb is None else min(usable_bytes, DEFAULT_PART * set_mb * MIB // (settings.workers or 1))


def _usable_bytes(settings: Settings) -> int:
    """Return this process's share of the memory that all workers may use."""
    return usable_memory_bytes(os.environ) // (settings.workers or 1)


def request_limits(settings: Settings, memory: MemoryBudget) -> RequestLimits:
    """Return the limits of one request; those of bytes never over what the memory budget has for bodies."""
    return RequestLimits(
        body_bytes=min(settings.max_body_bytes, memory.body_bytes),
        text_chars=settings.max_text_chars,
        content=ContentLimits(images=settings.max_images, items=settings.max_items),
        image=ImageLimits(
            raw_bytes=min(settings.max_image_bytes, memory.body_bytes),
            pixels=settings.max_pixels,
            flatten_onto=settings.flatten_onto,
            decode_bytes=min(MAX_DECODE_BYTES, memory.decode_bytes),
            memory=memory.pixels,
        ),
        pixels=settings.max_request_pixels,
        fetched_bytes=max(MAX_FETCHED_BYTES, MAX_VIDEO_BYTES, settings.max_image_bytes, settings.max_document_bytes),
        refuse_unmoderated=settings.unmoderated_media == "refuse",
        passed_headers=settings.pass_headers,
        allow_upstream_state=settings.upstream_state == "allow",
        shows_cost=settings.show_cost,
        document=DocumentLimits(
            raw_bytes=min(settings.max_document_bytes, memory.body_bytes),
            stored_bytes=min(max(settings.max_document_bytes, settings.max_stored_document_bytes), memory.body_bytes),
            pages=settings.max_document_pages,
            pixels=settings.max_pixels,
            memory_bytes=child_memory_bytes(_usable_bytes(settings)),
        ),
    )


def open_access_control(settings: Settings, stores: Stores, client: httpx.AsyncClient, clock: Clock) -> AccessControl:
    """Return access control: the stores of keys and counters, the verifier of JWTs, and the limits."""
    return AccessControl(
        keys=stores.keys,
        tokens=_jwt_verifier(settings, client),
        rates=stores.rates,
        quotas=stores.quotas,
        address_secret=stores.address_secret,
        clock=clock,
        limits=RateLimits(
            settings.key_requests_per_minute,
            settings.jwt_requests_per_minute,
            settings.free_tier_requests,
            settings.free_tier_refunds,
            settings.free_tier_daily_requests,
        ),
        allow_cached_keys_in_outage=settings.store_outage == "cached_keys",
    )


def _jwt_verifier(settings: Settings, client: httpx.AsyncClient) -> TokenVerifier | None:
    if not (settings.jwks_url and settings.jwt_issuer and settings.jwt_audience):
        return None
    published = JwksCache(partial(fetch_key_set, client, settings.jwks_url))
    return JwtVerifier(published, TokenIssuer(settings.jwt_issuer, settings.jwt_audience, settings.jwt_project_claim))


@asynccontextmanager
async def _fetcher(settings: Settings, raw_bytes: int) -> AsyncIterator[GuardedFetcher]:
    images = GuardedFetcher(FetchLimits(raw_bytes=raw_bytes), settings.fetch_allow)
    try:
        yield images
    finally:
        await images.aclose()
