"""The composition root of whom we call: the catalog with its upstreams, and the moderator."""

from functools import partial
from typing import TYPE_CHECKING

import httpx

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
    from obscura.upstreams.catalog_file import UpstreamEntry


def open_moderator(settings: Settings, transport: httpx.AsyncBaseTransport) -> Moderator | None:
    """Return the moderator of the settings, None if moderation is off."""
    match settings.effective_moderation:
        case "off":
            return None
        case "demo":
            from obscura.moderation.demo import DemoModerator

            return DemoModerator()
        case "openai":
            return OpenAIModerator(transport, settings.moderation_url, settings.effective_moderation_key)


def open_catalog(settings: Settings, transport: httpx.AsyncBaseTransport) -> Catalog:
    """Return the catalog of the settings, with its upstreams open; raises CatalogError if its file is invalid."""
    if settings.models is not None:
        from obscura.upstreams.catalog_file import FileCatalog, read_catalog_file

        return FileCatalog(
            read_catalog_file(settings.models), partial(_open_upstream, transport, settings.upstream_retries)
        )
    if settings.upstream_url is None:
        return SingleUpstreamCatalog(demo_model(), frozenset({PIVOT}))
    key = settings.upstream_key.get_secret_value() if settings.upstream_key else None
    dialects = settings.upstream_dialects | {PIVOT}
    dialect = load_kind(default_kind(dialects))(key)
    upstream = HttpUpstream(transport, settings.upstream_url, dialect, retries=settings.upstream_retries)
    return SingleUpstreamCatalog(
        upstream, dialects, store_field=takes_store_field(settings.upstream_url), url=settings.upstream_url
    )


def _open_upstream(
    transport: httpx.AsyncBaseTransport, retries: int, entry: "UpstreamEntry", key: str | None
) -> Upstream:
    dialect = load_kind(entry.effective_kind)(key)
    return HttpUpstream(transport, str(entry.url), dialect, UpstreamTimeouts(first_byte_s=entry.timeout_s), retries)


def demo_model() -> Upstream:
    """Return the demo model, imported only where it serves."""
    from obscura.upstreams.demo import DemoModel

    return DemoModel()
