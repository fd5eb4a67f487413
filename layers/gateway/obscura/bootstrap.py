"""The composition root: opens the services of the pipeline by the settings."""

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
from obscura.clock import Clock, SystemClock
from obscura.dialects.base import ContentLimits
from obscura.dialects.registry import PIVOT, require_dialect
from obscura.documents.base import DocumentLimits
from obscura.documents.render import DocumentRenderer
from obscura.execution import ImageExecutor
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from obscura.fetch.policy import parse_origin
from obscura.files.service import FileService
from obscura.httpclient.transport import FastTransport
from obscura.imaging import ImageLimits, warm_up
from obscura.moderation.base import Moderator
from obscura.moderation.openai import OpenAIModerator
from obscura.pipeline.image_cache import ImageCache
from obscura.pipeline.load_images import MAX_VIDEO_BYTES
from obscura.pipeline.services import RequestLimits, Services
from obscura.settings import PREFIX, ConfigurationError, Settings
from obscura.stores.open import Stores, open_stores
from obscura.upstreams.base import Catalog, Upstream
from obscura.upstreams.catalog import SingleUpstreamCatalog
from obscura.upstreams.http import ClientTransport, HttpUpstream, UpstreamTimeouts
from obscura.upstreams.registry import default_kind, load_kind

if TYPE_CHECKING:
    from obscura.upstreams.catalog_file import UpstreamEntry


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
    if settings.jwks_url is not None and not (settings.jwt_issuer and settings.jwt_audience):
        raise ConfigurationError(
            f"{PREFIX}JWKS_URL needs {PREFIX}JWT_ISSUER and {PREFIX}JWT_AUDIENCE: "
            "the issuer and the audience of the JWTs that are accepted."
        )
    for missing in missing_sink_secrets(settings):
        raise ConfigurationError(missing)
    if settings.models is not None:
        from obscura.upstreams.catalog_file import CatalogError, FileCatalog, read_catalog_file

        try:
            FileCatalog(read_catalog_file(settings.models), lambda _entry, _key: _demo_model())
        except CatalogError as invalid:
            raise ConfigurationError(f"{PREFIX}MODELS: {invalid}") from None


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
    limits = RequestLimits(
        body_bytes=settings.max_body_bytes,
        text_chars=settings.max_text_chars,
        content=ContentLimits(images=settings.max_images),
        image=ImageLimits(
            raw_bytes=settings.max_image_bytes, pixels=settings.max_pixels, flatten_onto=settings.flatten_onto
        ),
        refuse_unmoderated=settings.unmoderated_media == "refuse",
        document=DocumentLimits(
            raw_bytes=settings.max_document_bytes,
            stored_bytes=max(settings.max_document_bytes, settings.max_stored_document_bytes),
            pages=settings.max_document_pages,
            pixels=settings.max_pixels,
        ),
    )
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
        yield Services(
            access_control=open_access_control(settings, stores, client, clock),
            images=await stack.enter_async_context(_fetcher(settings, settings.max_image_bytes)),
            videos=await stack.enter_async_context(_fetcher(settings, MAX_VIDEO_BYTES)),
            document_files=await stack.enter_async_context(_fetcher(settings, settings.max_document_bytes)),
            documents=documents,
            moderator=_moderator(settings, transport),
            catalog=_catalog(settings, transport),
            limits=limits,
            executor=executor,
            file_service=FileService(stores.storage, executor, limits.image, clock, documents, limits.document),
            verdicts=stores.verdicts if settings.cache_verdicts else None,
            image_cache=ImageCache(settings.image_cache_mb * 1024 * 1024) if settings.image_cache_mb else None,
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
            settings.key_requests_per_minute, settings.jwt_requests_per_minute, settings.free_tier_requests
        ),
        allow_cached_keys_in_outage=settings.store_outage == "cached_keys",
    )


def _jwt_verifier(settings: Settings, client: httpx.AsyncClient) -> TokenVerifier | None:
    if not (settings.jwks_url and settings.jwt_issuer and settings.jwt_audience):
        return None
    published = JwksCache(partial(fetch_key_set, client, settings.jwks_url))
    return JwtVerifier(published, TokenIssuer(settings.jwt_issuer, settings.jwt_audience))


@asynccontextmanager
async def _fetcher(settings: Settings, raw_bytes: int) -> AsyncIterator[GuardedFetcher]:
    images = GuardedFetcher(FetchLimits(raw_bytes=raw_bytes), settings.fetch_allow)
    try:
        yield images
    finally:
        await images.aclose()


def _moderator(settings: Settings, transport: httpx.AsyncBaseTransport) -> Moderator | None:
    match settings.effective_moderation:
        case "off":
            return None
        case "demo":
            from obscura.moderation.demo import DemoModerator

            return DemoModerator()
        case "openai":
            return OpenAIModerator(transport, settings.moderation_url, settings.effective_moderation_key)


def _catalog(settings: Settings, transport: httpx.AsyncBaseTransport) -> Catalog:
    if settings.models is not None:
        from obscura.upstreams.catalog_file import FileCatalog, read_catalog_file

        return FileCatalog(read_catalog_file(settings.models), partial(_open_upstream, transport))
    if settings.upstream_url is None:
        return SingleUpstreamCatalog(_demo_model(), frozenset({PIVOT}))
    key = settings.upstream_key.get_secret_value() if settings.upstream_key else None
    dialects = settings.upstream_dialects | {PIVOT}
    dialect = load_kind(default_kind(dialects))(key)
    return SingleUpstreamCatalog(HttpUpstream(transport, settings.upstream_url, dialect), dialects)


def _open_upstream(transport: httpx.AsyncBaseTransport, entry: "UpstreamEntry", key: str | None) -> Upstream:
    dialect = load_kind(entry.effective_kind)(key)
    return HttpUpstream(transport, str(entry.url), dialect, UpstreamTimeouts(first_byte_s=entry.timeout_s))


def _demo_model() -> Upstream:
    from obscura.upstreams.demo import DemoModel

    return DemoModel()
