"""Open what the settings ask for: metrics, with the endpoint that shows them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Scope

from obscura.access_record import AccessRecord
from obscura.pipeline.services import Services
from obscura.settings import Settings
from obscura.telemetry.gauges import gauges_of, named_models
from obscura.telemetry.metrics import Metrics
from obscura.telemetry.sharing import SharedMetrics


class Telemetry:
    """What sees every request of an application, by its access record."""

    def __init__(self, settings: Settings) -> None:
        """Open it; nothing is sent or written before ``running``."""
        self.shared = SharedMetrics(Metrics())

    def began(self, record: AccessRecord, scope: Scope) -> None:
        """See a request that begins."""
        self.shared.metrics.began(record, scope)

    def ended(self, record: AccessRecord) -> None:
        """See a request that has ended."""
        self.shared.metrics.ended(record)

    @asynccontextmanager
    async def running(self, services: Services) -> AsyncIterator[None]:
        """Read the services' gauges, and share the counts, while the context holds."""
        metrics = self.shared.metrics
        metrics.read_gauges, metrics.named_models = gauges_of(services), named_models(services)
        async with self.shared.writing():
            yield
