"""``GET /metrics``: the metrics of ``serve`` and the container, for a key of scope admin."""

import asyncio

from fastapi import APIRouter, Depends, Request, Response

from obscura.api.dependencies import principal
from obscura.api.routers import FamilyRoute
from obscura.auth.base import KeyScope
from obscura.telemetry.exposition import CONTENT_TYPE, render
from obscura.telemetry.sharing import SharedMetrics

PATH = "/metrics"

router = APIRouter(
    route_class=FamilyRoute, dependencies=[Depends(principal(KeyScope.ADMIN, free_tier=False))], include_in_schema=False
)
"""Of applications that count their requests; no family, for Lambda has no process that could show them."""


@router.get(PATH)
async def read_metrics(request: Request) -> Response:
    """Return the metrics in Prometheus' text format."""
    shared: SharedMetrics = request.app.state.telemetry.shared
    text = await asyncio.to_thread(lambda: render(shared.all_counts()))
    return Response(text, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})
