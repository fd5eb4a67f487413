"""First render of the playground in Chromium, and its sizes: ``python -m benchmarks.playground``.

The gateway is ``obscura serve`` in a process of its own; each run is a page of a fresh profile, so nothing is cached.
The time is the first contentful paint that the browser reports (Paint Timing), from the start of the navigation.
Between two runs the browser paints ``/healthz``, one line of JSON: what this machine takes for any page at that moment.
"""

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from obscura.api.routers.playground import ASSETS
from tests.support.chromium import launch_chromium
from tests.support.serving_process import environment, serving

_PAINTED = """() => new Promise((resolve) => new PerformanceObserver((list) => {
  const [paint] = list.getEntriesByName("first-contentful-paint");
  if (paint) resolve(paint.startTime);
}).observe({ type: "paint", buffered: true }))"""
_READY = "() => performance.now()"


def sizes() -> dict[str, int]:
    """Return the bytes by kind of file, uncompressed."""
    by_kind = {"html": len(ASSETS.document.data), "css": 0, "js": 0}
    for name, asset in ASSETS.files.items():
        kind = name.rpartition(".")[2]
        if kind in by_kind:
            by_kind[kind] += len(asset.data)
    return by_kind


async def first_render_ms(browser: Browser, url: str) -> tuple[float, float, float]:
    """Open the page in a fresh profile; return when it painted, when it was usable, and the floor, in milliseconds."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(url)
    painted: float = await page.evaluate(_PAINTED)
    await page.wait_for_selector("body[data-ready]")
    usable: float = await page.evaluate(_READY)
    await page.goto(url + "healthz")
    floor: float = await page.evaluate(_PAINTED)
    await context.close()
    return painted, usable, floor


async def measure(url: str, runs: int) -> list[tuple[float, float, float]]:
    """Return the times of each run, after one that warms the server."""
    async with async_playwright() as playwright:
        browser = await launch_chromium(playwright)
        times = [await first_render_ms(browser, url) for _ in range(runs + 1)]
        await browser.close()
    return times[1:]


def main() -> None:
    """Print the sizes and the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(environment(Path(folder))) as gateway:
        times = asyncio.run(measure(gateway.v1.removesuffix("v1"), options.runs))
    by_kind = sizes()
    print(f"bytes: {by_kind}, {sum(by_kind.values()):,} in all (limit 90,000)")
    painted, usable, floor = ([run[index] for run in times] for index in range(3))
    print(f"first contentful paint: median {statistics.median(painted):.0f} ms of {len(times)} runs (limit 100 ms)")
    print(f"usable: median {statistics.median(usable):.0f} ms; worst paint {max(painted):.0f} ms")
    print(f"a page of one line: median {statistics.median(floor):.0f} ms")


if __name__ == "__main__":
    main()
