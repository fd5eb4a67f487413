"""What ``obscura doctor`` says of Amazon Bedrock: which credentials sign, and which models the account may call."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from obscura.errors import ObscuraError
from obscura.httpclient.transport import FastTransport
from obscura.settings import Settings

if TYPE_CHECKING:
    from obscura.upstreams.base import ModelListing, Upstream

type Verdict = Literal["ok", "warn", "bad"]

MAX_NAMES = 40


def bedrock_findings(settings: Settings) -> list[tuple[str, Verdict, str]]:
    """Return subject, verdict and detail of each region of Bedrock that the settings or the catalog name."""
    return [_finding(region, upstream, named) for region, upstream, named in _upstreams(settings)]


def _upstreams(settings: Settings) -> "list[tuple[str, Upstream, Sequence[str]]]":
    transport = FastTransport()
    if settings.models is None:
        if settings.bedrock_region is None:
            return []
        from obscura.upstreams.bedrock.catalog import open_bedrock

        return [(settings.bedrock_region, open_bedrock(settings, transport), settings.bedrock_models)]
    from obscura.bootstrap_catalog import load_catalog
    from obscura.bootstrap_upstreams import open_upstream
    from obscura.upstreams.catalog_bedrock import KIND
    from obscura.upstreams.catalog_file import CatalogError

    try:
        file, keys = load_catalog(settings)
    except CatalogError:
        return []  # which the check of the catalog reports
    return [
        (
            entry.region or "",
            open_upstream(transport, settings, file.models, entry, _key(entry.key_reference, keys)),
            [model.options().upstream_id for model in file.models if model.upstream == entry.name],
        )
        for entry in file.upstreams
        if entry.effective_kind == KIND
    ]


def _key(name: str | None, keys: Mapping[str, str]) -> str | None:
    return keys.get(name, "").strip() or None if name is not None else None


def _finding(region: str, upstream: "Upstream", named: Sequence[str]) -> tuple[str, Verdict, str]:
    subject = f"Bedrock {region}"
    try:
        listed = asyncio.run(_listed(upstream))
    except ObscuraError as error:
        return subject, "warn" if named else "bad", f"its models cannot be listed: {error.message}"
    ids = [model.id for model in listed]
    missing = [model for model in named if model not in ids and not model.startswith("arn:")]
    if missing:
        return subject, "bad", f"not among the {len(ids)} models of the account: {', '.join(missing)}"
    more = f" and {len(ids) - MAX_NAMES} more" if len(ids) > MAX_NAMES else ""
    return subject, "ok", f"the account may call {len(ids)} models: {', '.join(ids[:MAX_NAMES])}{more}"


async def _listed(upstream: "Upstream") -> "Sequence[ModelListing]":
    return await upstream.models()
