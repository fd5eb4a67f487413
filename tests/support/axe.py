"""axe-core in a page: what a page has against WCAG 2.2 A and AA, and against axe's own best practices."""

from typing import Any

from playwright.async_api import Page

from tests.support.chromium import AXE

_RUN = "() => axe.run(document, {resultTypes: ['violations']})"


async def violations(page: Page) -> list[str]:
    """Run axe-core in the page; each violation as ``rule: the element's markup``."""
    await page.evaluate(AXE.read_text())
    report: dict[str, Any] = await page.evaluate(_RUN)
    return [f"{rule['id']}: {node['html']}" for rule in report["violations"] for node in rule["nodes"]]
