"""The models of Bedrock without a catalog file: those that the settings name, or whatever a region has."""

import os
from collections.abc import Mapping, Sequence
from time import monotonic

import httpx

from obscura.dialects.registry import PIVOT
from obscura.settings import Settings
from obscura.upstreams.base import CatalogModel, ModelListing, ModelOptions, Upstream, UpstreamOptions
from obscura.upstreams.bedrock.dialect import NATIVE, BedrockUpstream
from obscura.upstreams.bedrock.models import ANTHROPIC, control_url, family_of, is_model_id, runtime_url
from obscura.upstreams.catalog import LIST_TTL_S
from obscura.upstreams.http import HttpUpstream, UpstreamTimeouts
from obscura.upstreams.image_limits import PRESETS

_SPOKEN = frozenset({PIVOT, NATIVE})


def open_bedrock_catalog(
    settings: Settings, transport: httpx.AsyncBaseTransport, environment: Mapping[str, str] = os.environ
) -> "BedrockCatalog":
    """Return the catalog of ``OBSCURA_UPSTREAM_URL=bedrock:REGION``."""
    return BedrockCatalog(open_bedrock(settings, transport, environment), settings.bedrock_models)


def open_bedrock(
    settings: Settings, transport: httpx.AsyncBaseTransport, environment: Mapping[str, str] = os.environ
) -> HttpUpstream:
    """Return the upstream of a region; AWS's own variables of the environment name other endpoints.

    ``AWS_ENDPOINT_URL_BEDROCK_RUNTIME``, ``AWS_ENDPOINT_URL_BEDROCK`` and ``AWS_ENDPOINT_URL`` (AWS SDKs reference
    guide, "Service-specific endpoints").
    """
    region = settings.bedrock_region or ""
    every = environment.get("AWS_ENDPOINT_URL")
    base_url = environment.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME") or every or runtime_url(region)
    listed_at = environment.get("AWS_ENDPOINT_URL_BEDROCK") or every or control_url(region)
    identifier, _, version = (settings.bedrock_guardrail or "").rpartition(":")
    options = UpstreamOptions(region, (identifier, version) if identifier else None, listed_at.rstrip("/"))
    key = settings.upstream_key.get_secret_value() if settings.upstream_key else None
    timeouts = UpstreamTimeouts(first_byte_s=settings.upstream_timeout_s, between_chunks_s=settings.upstream_idle_s)
    dialect = BedrockUpstream.configured(key, options)
    return HttpUpstream(transport, base_url, dialect, timeouts, settings.upstream_retries)


class BedrockCatalog:
    """The models that are named, and no others; with none named, every id goes to Bedrock, whose IAM decides."""

    def __init__(self, upstream: Upstream, named: Sequence[str]) -> None:
        self._upstream = upstream
        self._named = {model_id: self._model(ModelListing(model_id, owned_by="bedrock")) for model_id in named}
        self.named_models = frozenset(named)
        self._listed: Sequence[CatalogModel] = ()
        self._listed_until_s = 0.0

    async def find(self, model_id: str) -> CatalogModel | None:
        """Return a model that is named, or one of any id that Bedrock could have if none is."""
        if self._named:
            return self._named.get(model_id)
        return self._model(ModelListing(model_id)) if is_model_id(model_id) else None

    async def all(self) -> Sequence[CatalogModel]:
        """Return the models that are named, else the region's own list, at most ``LIST_TTL_S`` old."""
        if self._named:
            return list(self._named.values())
        if monotonic() > self._listed_until_s:
            self._listed = [self._model(listed) for listed in await self._upstream.models()]
            self._listed_until_s = monotonic() + LIST_TTL_S
        return self._listed

    def _model(self, listed: ModelListing) -> CatalogModel:
        options = ModelOptions(listed.id)
        return CatalogModel(
            listed.id,
            self._upstream,
            BedrockUpstream.model_dialects(options, _SPOKEN),
            token_profile="anthropic" if family_of(options) == ANTHROPIC else "qwen",
            owned_by=listed.owned_by,
            store_field=False,
            image_limits=PRESETS["bedrock"],
        )
