"""The browser itself: a page that loopback serves loads, runs its script, and can be audited."""

from playwright.async_api import Page

from tests.support.axe import violations
from tests.support.fake_upstream import answers
from tests.support.loopback_server import LoopbackServer

PAGE = b"""<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1><p id="out"></p>%b</main>
<script>document.getElementById("out").textContent = `answers ${6 * 7}`</script></html>"""


async def test_a_page_of_loopback_runs_its_script(page: Page, upstream: LoopbackServer) -> None:
    upstream.respond = answers(PAGE % b"", content_type="text/html; charset=utf-8")

    await page.goto(upstream.origin)

    assert await page.text_content("#out") == "answers 42"
    assert await violations(page) == []


async def test_axe_finds_an_image_without_a_name(page: Page, upstream: LoopbackServer) -> None:
    upstream.respond = answers(PAGE % b'<img src="data:,">', content_type="text/html; charset=utf-8")

    await page.goto(upstream.origin)

    assert await violations(page) == ['image-alt: <img src="data:,">']
