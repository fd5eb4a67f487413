"""A real browser for the pages: Chromium for the whole run, a fresh profile for each test.

The tests here share one event loop, since the browser lives in it; ``gateway`` and ``upstream`` are served in it too.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.support.chromium import launch_chromium
from tests.support.fake_upstream import answers
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, loopback_server

BROWSER_TESTS = Path(__file__).parent
SHARED_LOOP = pytest.mark.asyncio(loop_scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run each test of this folder in the browser's loop."""
    for item in items:
        if item.path.is_relative_to(BROWSER_TESTS):
            item.add_marker(SHARED_LOOP, append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await launch_chromium(playwright)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page of a fresh profile; the test fails if a script of it throws."""
    context = await browser.new_context()
    context.set_default_timeout(10_000)
    opened = await context.new_page()
    thrown: list[str] = []
    opened.on("pageerror", lambda error: thrown.append(str(error)))
    yield opened
    await context.close()
    assert not thrown, thrown


@pytest_asyncio.fixture(loop_scope="session")
async def upstream() -> AsyncIterator[LoopbackServer]:
    """As in the suite's own conftest, in the shared loop."""
    async with loopback_server(answers()) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(upstream: LoopbackServer, request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    """A served gateway that calls ``upstream``, with the settings of ``@pytest.mark.gateway``, in the shared loop."""
    async with running_gateway(upstream_url=upstream.v1, **_settings(request)) as served:
        yield served


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker = request.node.get_closest_marker("gateway")
    return marker.kwargs if marker else {}
