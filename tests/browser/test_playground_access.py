"""The playground for all callers: keyboard alone, screen readers, narrow screens; and what it leaves behind."""

import pytest
from playwright.async_api import Browser, Page

from tests.browser.playground import Playground, a_file
from tests.support.axe import violations
from tests.support.fake_upstream import answers
from tests.support.gateway import Gateway
from tests.support.loopback_server import LoopbackServer
from tests.unit.imaging.images import a_photograph

SMALL = a_photograph(64, 48, "PNG")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_either_scheme(
    scheme: str, browser: Browser, gateway: Gateway, upstream: LoopbackServer
) -> None:
    context = await browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    playground = await Playground(await context.new_page(), gateway).open()
    empty = await violations(playground.page)
    await playground.choose(a_file("a.png", SMALL), a_file("b.txt", b"no image at all, but text"))
    await playground.page.wait_for_selector(".thumbnail .problem")
    await playground.thumbnail(2).locator("[aria-label^=Remove]").click()
    await playground.ask()
    upstream.respond = answers({"error": {"message": "No.", "type": "x", "code": "x", "param": None}}, status=400)
    await playground.ask()
    for summary in await playground.page.locator("summary").all():
        await summary.click()
    used = await violations(playground.page)
    await playground.thumbnail().locator("[aria-label^=Crop]").click()
    cropping = await violations(playground.page)
    await context.close()

    assert (empty, used, cropping) == ([], [], [])


@pytest.mark.parametrize("width", [360, 768, 1440])
async def test_no_width_scrolls_sideways(width: int, page: Page, gateway: Gateway, upstream: LoopbackServer) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    upstream.respond = answers(
        {"error": {"message": "long " * 80 + "x" * 300, "code": "y" * 80, "param": "z" * 90}}, status=400
    )
    playground = await Playground(page, gateway).open()
    await playground.choose(a_file("a-very-long-name" * 8 + ".png", SMALL))
    await playground.images()
    await page.select_option("#compare", "detail")
    await playground.ask("w" * 200)
    await page.click("#code summary")
    await page.wait_for_selector("#snippet:has-text('curl')")

    assert await page.evaluate("() => document.documentElement.scrollWidth") == width


async def test_the_keyboard_alone_reaches_and_does_everything(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open()
    await page.evaluate("() => document.activeElement.blur()")
    reached = []
    for _ in range(60):
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate("() => document.activeElement.id || document.activeElement.textContent.trim()")
        )
        if reached[-1] == "Receipt":
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".thumbnail img")
        if reached[-1] == "copy-code" or (reached[-1] == "BODY" and len(reached) > 5):
            break
    assert {"key", "text", "add-files", "add-camera", "add-url", "send", "model", "detail", "compare"} <= set(reached)
    await page.focus("#text")
    await page.keyboard.press("Control+Enter")
    answer = await playground.answer()

    assert "A cat." in await answer.locator(".text").inner_text()
    assert await page.inner_text("#announcer") == "The answer is complete."


async def test_nothing_moves_if_the_system_asks_for_less_motion(browser: Browser, gateway: Gateway) -> None:
    context = await browser.new_context(reduced_motion="reduce")
    page = await context.new_page()
    await Playground(page, gateway).open()
    await page.evaluate(
        """() => { const view = document.createElement("article"); view.dataset.state = "waiting";
        const text = document.createElement("div"); text.className = "text";
        view.append(text); document.body.append(view); }"""
    )
    animation = await page.evaluate(
        "() => getComputedStyle(document.querySelector('[data-state=waiting] .text'), '::before').animationName"
    )
    await context.close()

    assert animation == "none"


async def test_nothing_stays_behind_and_nothing_goes_elsewhere(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open()
    await playground.choose(a_file("a.png", SMALL))
    await playground.images()
    await playground.ask()

    assert await playground.kept() == {
        "local": 0, "session": 0, "cookies": "", "url": f"{gateway.url}/", "all_cookies": [],
    }  # fmt: skip
    assert all(url.startswith((f"{gateway.url}/", f"blob:{gateway.url}/")) for url in playground.requests)
    assert await page.locator("[href^=http], [src^=http]").count() == 0
    await page.reload()
    await page.wait_for_selector("body[data-ready]")
    assert await page.input_value("#key") == ""


async def test_a_script_that_is_injected_does_not_run(page: Page, gateway: Gateway) -> None:
    await Playground(page, gateway).open()
    markup = "<img src=x onerror=document.title='owned'>"
    refused = await page.evaluate(
        "(markup) => { try { document.body.innerHTML = markup; } catch (error) { return String(error); } }", markup
    )

    assert "TrustedHTML" in refused
    assert await page.title() == "Obscura playground"
