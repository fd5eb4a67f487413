"""Fixtures of the whole suite: an upstream on loopback, and a gateway that is served before it.

``@pytest.mark.gateway(setting=value)`` gives the gateway its settings.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.fake_upstream import answers
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, loopback_server


@pytest.fixture
async def upstream() -> AsyncIterator[LoopbackServer]:
    """A loopback upstream; it sends a chat completion until a test sets ``upstream.respond``."""
    async with loopback_server(answers()) as server:
        yield server


@pytest.fixture
async def gateway(upstream: LoopbackServer, request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    """A served gateway that calls ``upstream``."""
    async with running_gateway(upstream_url=upstream.v1, **_settings(request)) as served:
        yield served


@pytest.fixture
async def demo_gateway(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    """A served gateway with the built-in demo model."""
    async with running_gateway(**_settings(request)) as served:
        yield served


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker = request.node.get_closest_marker("gateway")
    return marker.kwargs if marker else {}
