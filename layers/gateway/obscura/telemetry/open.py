"""Open what the settings ask for: metrics, with the endpoint that shows them, and traces."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from starlette.types import Scope

from obscura.access_record import AccessRecord, loggable
from obscura.pipeline.services import Services
from obscura.settings import PREFIX, ConfigurationError, Settings
from obscura.telemetry.gauges import gauges_of, named_models
from obscura.telemetry.metrics import Metrics
from obscura.telemetry.sharing import SharedMetrics
from obscura.upstreams.registry import default_kind

if TYPE_CHECKING:
    from obscura.telemetry.traces import Traces

PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "bedrock": "aws.bedrock"}
"""What the conventions call the kinds of upstreams; a server that speaks OpenAI's API is ``openai`` there."""
DEMO = "obscura"


@runtime_checkable
class _NamesKinds(Protocol):
    kinds: Mapping[str, str]


class Telemetry:
    """What sees every request of an application, by its access record."""

    def __init__(self, settings: Settings) -> None:
        """Open it; nothing is sent or written before ``running``. Raises ConfigurationError."""
        self._settings = settings
        self.shared = SharedMetrics(Metrics()) if settings.metrics else None
        self._metrics = self.shared.metrics if self.shared else None
        self._traces = _open_traces(settings) if settings.traces_url else None

    def began(self, record: AccessRecord, scope: Scope) -> None:
        """See a request that begins."""
        if self._metrics is not None:
            self._metrics.began(record, scope)
        if self._traces is not None:
            self._traces.began(record, scope)

    def ended(self, record: AccessRecord) -> None:
        """See a request that has ended."""
        if self._metrics is not None:
            self._metrics.ended(record)
        if self._traces is not None:
            self._traces.ended(record, loggable(record.model))

    @asynccontextmanager
    async def running(self, services: Services) -> AsyncIterator[None]:
        """Read the services' gauges, and share the counts, while the context holds; then send the last spans."""
        if self._traces is not None:
            self._traces.providers = _providers(self._settings, services)
        try:
            if self.shared is None or self._metrics is None:
                yield
                return
            self._metrics.read_gauges, self._metrics.named_models = gauges_of(services), named_models(services)
            async with self.shared.writing():
                yield
        finally:
            if self._traces is not None:
                await asyncio.to_thread(self._traces.close)


def _open_traces(settings: Settings) -> "Traces":
    try:
        from obscura.telemetry.traces import Traces
    except ImportError:
        raise ConfigurationError(
            f"{PREFIX}TRACES_URL needs OpenTelemetry, which is not installed: pip install 'obscura[otel]'."
        ) from None
    return Traces(settings)


def _providers(settings: Settings, services: Services) -> Mapping[str | None, str]:
    catalog = services.catalog
    if isinstance(catalog, _NamesKinds):
        return {name: PROVIDERS.get(kind, kind) for name, kind in catalog.kinds.items()}
    if settings.upstream_url is None:
        return {None: DEMO}
    kind = "bedrock" if settings.bedrock_region else default_kind(settings.upstream_dialects | {"chat"})
    return {None: PROVIDERS.get(kind, kind)}
