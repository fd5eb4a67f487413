"""The composition root: settings in, a gateway with its adapters out."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING
from urllib.request import getproxies

import httpx

from obscura.adapters.http1 import PooledTransport
from obscura.adapters.http_images import FetchLimits, HttpImages, parse_origin
from obscura.adapters.http_upstream import HttpUpstream, UpstreamTimeouts
from obscura.adapters.jwks import JwksTokens, Provider, PublishedKeys, fetch_key_set
from obscura.adapters.open_catalogue import OpenCatalogue
from obscura.adapters.openai_moderation import OpenAIModerator
from obscura.adapters.system_clock import SystemClock
from obscura.config import PREFIX, ConfigurationError, Settings
from obscura.imaging import ImageLimits, warm_up
from obscura.pipeline.door import AdmissionLimits, Door
from obscura.pipeline.gateway import Gateway, Limits
from obscura.pipeline.videos import MAX_VIDEO_BYTES
from obscura.pipeline.workshop import Workshop
from obscura.ports import Catalogue, Clock, Moderator, Tokens, Upstream
from obscura.web.stores import Stores, open_stores
from obscura.wire.dialect import ContentLimits

if TYPE_CHECKING:
    from obscura.adapters.catalogue_file import UpstreamEntry


def check_settings(settings: Settings) -> None:
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
        from obscura.adapters.catalogue_file import (
            CatalogueError,
            FileCatalogue,
            read_catalogue_file,
        )

        try:
            FileCatalogue(read_catalogue_file(settings.models), lambda _entry, _key: _demo_model())
        except CatalogueError as wrong:
            raise ConfigurationError(f"{PREFIX}MODELS: {wrong}") from None


@asynccontextmanager
async def open_gateway(
    settings: Settings, stores: Stores | None = None, clock: Clock | None = None
) -> AsyncIterator[Gateway]:
    """Put the gateway together for as long as the context holds.

    ``stores`` stand in for those of the settings, ``clock`` for the machine's.
    """
    warm_up()
    limits = Limits(
        body_bytes=settings.max_body_bytes,
        content=ContentLimits(images=settings.max_images),
        image=ImageLimits(raw_bytes=settings.max_image_bytes, pixels=settings.max_pixels),
    )
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client())
        if stores is None:
            stores = await stack.enter_async_context(open_stores(settings))
        yield Gateway(
            door=open_door(settings, stores, client, clock or SystemClock()),
            images=await stack.enter_async_context(_fetcher(settings, settings.max_image_bytes)),
            videos=await stack.enter_async_context(_fetcher(settings, MAX_VIDEO_BYTES)),
            moderator=_moderator(settings, client),
            catalogue=_catalogue(settings, client),
            limits=limits,
            workshop=stack.enter_context(closing(Workshop())),
            storeroom=stores.storeroom,
            verdicts=stores.verdicts if settings.remember_verdicts else None,
        )


def open_door(settings: Settings, stores: Stores, client: httpx.AsyncClient, clock: Clock) -> Door:
    """Put the door together: who knows the callers and who counts them."""
    return Door(
        keys=stores.keys,
        tokens=_tokens(settings, client),
        rates=stores.rates,
        quotas=stores.quotas,
        address_secret=stores.address_secret,
        clock=clock,
        limits=AdmissionLimits(
            settings.key_requests_per_minute, settings.jwt_requests_per_minute, settings.free_tier_requests
        ),
        open_in_outage=settings.store_outage == "keys",
    )


def _tokens(settings: Settings, client: httpx.AsyncClient) -> Tokens | None:
    if not (settings.jwks_url and settings.jwt_issuer and settings.jwt_audience):
        return None
    published = PublishedKeys(partial(fetch_key_set, client, settings.jwks_url))
    return JwksTokens(published, Provider(settings.jwt_issuer, settings.jwt_audience))


def _client() -> httpx.AsyncClient:
    """One client for the upstream and the moderator; where the environment names a proxy, httpx's own transport."""
    return httpx.AsyncClient(transport=None if getproxies() else PooledTransport())


@asynccontextmanager
async def _fetcher(settings: Settings, raw_bytes: int) -> AsyncIterator[HttpImages]:
    images = HttpImages(FetchLimits(raw_bytes=raw_bytes), settings.fetch_allow)
    try:
        yield images
    finally:
        await images.aclose()


def _moderator(settings: Settings, client: httpx.AsyncClient) -> Moderator | None:
    match settings.moderation_in_force:
        case "off":
            return None
        case "demo":
            from obscura.adapters.demo import DemoModerator

            return DemoModerator()
        case "openai":
            return OpenAIModerator(client, settings.moderation_url, settings.moderation_key_in_force)


def _catalogue(settings: Settings, client: httpx.AsyncClient) -> Catalogue:
    if settings.models is not None:
        from obscura.adapters.catalogue_file import FileCatalogue, read_catalogue_file

        return FileCatalogue(read_catalogue_file(settings.models), partial(_listed_upstream, client))
    if settings.upstream_url is None:
        return OpenCatalogue(_demo_model(), frozenset({"chat"}))
    key = settings.upstream_key.get_secret_value() if settings.upstream_key else None
    upstream = HttpUpstream(client, settings.upstream_url, key)
    return OpenCatalogue(upstream, frozenset({"chat"}) | settings.upstream_dialects)


def _listed_upstream(client: httpx.AsyncClient, entry: "UpstreamEntry", key: str | None) -> Upstream:
    return HttpUpstream(client, str(entry.url), key, UpstreamTimeouts(first_byte_s=entry.timeout_s))


def _demo_model() -> Upstream:
    from obscura.adapters.demo import DemoModel

    return DemoModel()
