"""The composition root of whom we call: the catalog with its upstreams, and the moderator."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import httpx

from obscura.bootstrap_catalog import load_catalog
from obscura.dialects.registry import PIVOT
from obscura.moderation.base import Moderator
from obscura.moderation.openai import OpenAIModerator
from obscura.settings import Settings
from obscura.upstreams.base import Catalog, Upstream
from obscura.upstreams.catalog import SingleUpstreamCatalog
from obscura.upstreams.http import HttpUpstream, UpstreamTimeouts
from obscura.upstreams.registry import default_kind, load_kind
from obscura.upstreams.store_field import takes_store_field

if TYPE_CHECKING:
    from obscura.upstreams.catalog_file import ModelEntry, UpstreamEntry


def open_moderator(settings: Settings, transport: httpx.AsyncBaseTransport) -> Moderator | None:
    """Return the moderator of the settings, None if moderation is off."""
    match settings.effective_moderation:
        case "off":
            return None
        case "demo":
            from obscura.moderation.demo import DemoModerator

            return DemoModerator()
        case "openai" if settings.moderation_urls:
            from obscura.moderation.endpoints import open_endpoints

            return open_endpoints(settings, transport)
        case "openai":
            return OpenAIModerator(transport, settings.moderation_url, settings.effective_moderation_key)


def open_catalog(settings: Settings, transport: httpx.AsyncBaseTransport, stack: AsyncExitStack) -> Catalog:
    """Return the catalog of the settings, with its upstreams open; raises CatalogError if its file is invalid.

    What of them is to be closed is closed with the ``stack``.
    """
    if settings.models is not None:
        from obscura.upstreams.catalog_file import FileCatalog

        document, keys = load_catalog(settings)
        return FileCatalog(document, partial(open_upstream, transport, settings, document.models, stack=stack), keys)
    if settings.upstream_url is None:
        return SingleUpstreamCatalog(demo_model(), frozenset({PIVOT}), images_out=True)
    if settings.bedrock_region is not None:
        from obscura.upstreams.bedrock.catalog import open_bedrock_catalog

        return open_bedrock_catalog(settings, transport)
    key = settings.upstream_key.get_secret_value() if settings.upstream_key else None
    dialects = settings.upstream_dialects | {PIVOT}
    kind = default_kind(dialects)
    dialect = load_kind(kind)(key)
    upstream = HttpUpstream(
        transport, settings.upstream_url, dialect, upstream_timeouts(settings), settings.upstream_retries
    )
    return SingleUpstreamCatalog(
        upstream,
        dialects,
        store_field=takes_store_field(settings.upstream_url),
        url=settings.upstream_url,
        images_out=kind == "openai",
    )


def upstream_timeouts(
    settings: Settings, first_byte_s: float | None = None, idle_s: float | None = None
) -> UpstreamTimeouts:
    """Return the timeouts of the settings, or those of a catalog entry where it has its own."""
    return UpstreamTimeouts(
        first_byte_s=first_byte_s or settings.upstream_timeout_s, between_chunks_s=idle_s or settings.upstream_idle_s
    )


def open_upstream(  # noqa: PLR0913 - what all upstreams share, one entry and its key
    transport: httpx.AsyncBaseTransport,
    settings: Settings,
    models: Iterable["ModelEntry"],
    entry: "UpstreamEntry",
    key: str | None,
    *,
    stack: AsyncExitStack | None = None,
) -> Upstream:
    """Return one upstream of the catalog file, with its key; without a ``stack`` that closes it, it makes no files."""
    options = entry.options(one for model in models for one in model.by_upstream() if one.upstream == entry.name)
    dialect = load_kind(entry.effective_kind).configured(key, options)
    timeouts = upstream_timeouts(settings, entry.timeout_s, entry.idle_s)
    if (
        stack is not None and entry.image_files and settings.upstream_state != "allow"
    ):  # a stored response would outlive the files in it
        from obscura.upstreams.image_files import ImageFilesUpstream

        upstream = ImageFilesUpstream(
            transport, entry.base_url, dialect, timeouts, settings.upstream_retries, kind=entry.effective_kind
        )
        stack.push_async_callback(upstream.image_files.aclose)
        return upstream
    return HttpUpstream(transport, entry.base_url, dialect, timeouts, settings.upstream_retries)


def demo_model() -> Upstream:
    """Return the demo model, imported only where it serves."""
    from obscura.upstreams.demo import DemoModel

    return DemoModel()
