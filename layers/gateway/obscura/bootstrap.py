"""The composition root: settings in, a gateway with its adapters out."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING
from urllib.request import getproxies

import httpx

from obscura.auth.base import TokenVerifier
from obscura.auth.jwt.jwks import JwksCache, fetch_key_set
from obscura.auth.jwt.verifier import JwtVerifier, TokenIssuer
from obscura.auth.limits import AccessControl, RateLimits
from obscura.clock import Clock, SystemClock
from obscura.dialects.base import ContentLimits
from obscura.execution import ImageExecutor
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from obscura.fetch.policy import parse_origin
from obscura.httpclient.transport import FastTransport
from obscura.imaging import ImageLimits, warm_up
from obscura.moderation.base import Moderator
from obscura.moderation.openai import OpenAIModerator
from obscura.pipeline.load_images import MAX_VIDEO_BYTES
from obscura.pipeline.services import RequestLimits, Services
from obscura.settings import PREFIX, ConfigurationError, Settings
from obscura.stores.open import Stores, open_stores
from obscura.upstreams.base import Catalog, Upstream
from obscura.upstreams.catalog import SingleUpstreamCatalog
from obscura.upstreams.http import HttpUpstream, UpstreamTimeouts

if TYPE_CHECKING:
    from obscura.upstreams.catalog_file import UpstreamEntry


def validate_settings(settings: Settings) -> None:
    """Check, before anything starts, what pydantic alone cannot; raises ConfigurationError that names the setting."""
    try:
        for origin in settings.fetch_allow:
            parse_origin(origin)
    except ValueError as wrong:
        raise ConfigurationError(f"{PREFIX}FETCH_ALLOW: {wrong}") from None
    if settings.jwks_url is not None and not (settings.jwt_issuer and settings.jwt_audience):
        raise ConfigurationError(
            f"{PREFIX}JWKS_URL needs {PREFIX}JWT_ISSUER and {PREFIX}JWT_AUDIENCE: whose tokens are taken, and for whom."
        )
    if settings.models is not None:
        from obscura.upstreams.catalog_file import CatalogError, FileCatalog, read_catalog_file

        try:
            FileCatalog(read_catalog_file(settings.models), lambda _entry, _key: _demo_model())
        except CatalogError as wrong:
            raise ConfigurationError(f"{PREFIX}MODELS: {wrong}") from None


@asynccontextmanager
async def open_services(
    settings: Settings, stores: Stores | None = None, clock: Clock | None = None
) -> AsyncIterator[Services]:
    """Put the gateway together for as long as the context holds.

    ``stores`` stand in for those of the settings, ``clock`` for the machine's.
    """
    warm_up()
    limits = RequestLimits(
        body_bytes=settings.max_body_bytes,
        content=ContentLimits(images=settings.max_images),
        image=ImageLimits(raw_bytes=settings.max_image_bytes, pixels=settings.max_pixels),
    )
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client())
        if stores is None:
            stores = await stack.enter_async_context(open_stores(settings))
        yield Services(
            door=open_access_control(settings, stores, client, clock or SystemClock()),
            images=await stack.enter_async_context(_fetcher(settings, settings.max_image_bytes)),
            videos=await stack.enter_async_context(_fetcher(settings, MAX_VIDEO_BYTES)),
            moderator=_moderator(settings, client),
            catalog=_catalogue(settings, client),
            limits=limits,
            executor=stack.enter_context(closing(ImageExecutor())),
            storage=stores.storage,
            verdicts=stores.verdicts if settings.remember_verdicts else None,
        )


def open_access_control(settings: Settings, stores: Stores, client: httpx.AsyncClient, clock: Clock) -> AccessControl:
    """Put the door together: who knows the callers and who counts them."""
    return AccessControl(
        keys=stores.keys,
        tokens=_jwt_verifier(settings, client),
        rates=stores.rates,
        quotas=stores.quotas,
        address_secret=stores.address_secret,
        clock=clock,
        limits=RateLimits(
            settings.key_requests_per_minute, settings.jwt_requests_per_minute, settings.free_tier_requests
        ),
        allow_cached_keys_in_outage=settings.store_outage == "keys",
    )


def _jwt_verifier(settings: Settings, client: httpx.AsyncClient) -> TokenVerifier | None:
    if not (settings.jwks_url and settings.jwt_issuer and settings.jwt_audience):
        return None
    published = JwksCache(partial(fetch_key_set, client, settings.jwks_url))
    return JwtVerifier(published, TokenIssuer(settings.jwt_issuer, settings.jwt_audience))


def _client() -> httpx.AsyncClient:
    """One client for the upstream and the moderator; where the environment names a proxy, httpx's own transport."""
    return httpx.AsyncClient(transport=None if getproxies() else FastTransport())


@asynccontextmanager
async def _fetcher(settings: Settings, raw_bytes: int) -> AsyncIterator[GuardedFetcher]:
    images = GuardedFetcher(FetchLimits(raw_bytes=raw_bytes), settings.fetch_allow)
    try:
        yield images
    finally:
        await images.aclose()


def _moderator(settings: Settings, client: httpx.AsyncClient) -> Moderator | None:
    match settings.moderation_in_force:
        case "off":
            return None
        case "demo":
            from obscura.moderation.demo import DemoModerator

            return DemoModerator()
        case "openai":
            return OpenAIModerator(client, settings.moderation_url, settings.moderation_key_in_force)


def _catalogue(settings: Settings, client: httpx.AsyncClient) -> Catalog:
    if settings.models is not None:
        from obscura.upstreams.catalog_file import FileCatalog, read_catalog_file

        return FileCatalog(read_catalog_file(settings.models), partial(_listed_upstream, client))
    if settings.upstream_url is None:
        return SingleUpstreamCatalog(_demo_model(), frozenset({"chat"}))
    key = settings.upstream_key.get_secret_value() if settings.upstream_key else None
    upstream = HttpUpstream(client, settings.upstream_url, key)
    return SingleUpstreamCatalog(upstream, frozenset({"chat"}) | settings.upstream_dialects)


def _listed_upstream(client: httpx.AsyncClient, entry: "UpstreamEntry", key: str | None) -> Upstream:
    return HttpUpstream(client, str(entry.url), key, UpstreamTimeouts(first_byte_s=entry.timeout_s))


def _demo_model() -> Upstream:
    from obscura.upstreams.demo import DemoModel

    return DemoModel()
