"""Images in the playground: every way in, what is checked before they are sent, order, crop, both views."""

import json
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page

from obscura.dialects.data_url import encode_data_url
from tests.browser.playground import Playground, a_file
from tests.support.gateway import Gateway, chat_request, image_part
from tests.support.loopback_server import LoopbackServer
from tests.unit.imaging.images import a_photograph

SMALL = a_photograph(64, 48, "PNG")


async def sent(upstream: LoopbackServer) -> dict:
    body: dict = json.loads(upstream.received[-1].body)
    return body


@pytest.mark.parametrize("way", ["drop", "paste", "paperclip", "camera"])
async def test_an_image_comes_in_and_reaches_the_model(
    way: str, page: Page, gateway: Gateway, upstream: LoopbackServer
) -> None:
    playground = await Playground(page, gateway).open()
    file = a_file("a cat.png", SMALL)
    if way in {"drop", "paste"}:
        await playground.transfer(way, [file])
    else:
        await page.set_input_files("#files" if way == "paperclip" else "#camera", file)
    await playground.images()
    answer = await playground.ask()

    assert "A cat." in await answer.locator(".text").inner_text()
    assert "PNG · 64 \u00d7 48" in await playground.thumbnail().locator(".facts").inner_text()
    parts = (await sent(upstream))["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]


@pytest.mark.parametrize("dialect", ["messages", "responses"])
async def test_every_dialect_sends_the_image(
    dialect: str, page: Page, gateway: Gateway, upstream: LoopbackServer
) -> None:
    playground = await Playground(page, gateway).open()
    await page.check(f"[value={dialect}]")
    await page.uncheck("#stream")
    await playground.choose(a_file("a.png", SMALL))
    await playground.images()
    answer = await playground.ask()

    assert "A cat." in await answer.locator(".text").inner_text()
    assert (await playground.figures(answer))["Image tokens"] == "4"


async def test_an_image_by_url_is_fetched_by_the_gateway_alone(
    page: Page, gateway: Gateway, upstream: LoopbackServer
) -> None:
    playground = await Playground(page, gateway).open()
    await page.click("#add-url")
    await page.fill("#image-url", "https://192.0.2.1/secret.png")
    await page.press("#image-url", "Enter")
    answer = await playground.ask()

    assert "unsafe_image_url" in await answer.locator(".failure").inner_text()
    assert "messages[0].content[1].image_url.url" in await answer.locator(".failure").inner_text()
    assert "unsafe_image_url" in await playground.problem()
    assert all(url.startswith((gateway.url, "blob:", "data:")) for url in playground.requests)


@pytest.mark.gateway(max_image_bytes=100_000, max_pixels=1_000_000)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes(100_001), id="oversize"),
        pytest.param(b"", id="empty"),
        pytest.param(b"%PDF-1.7 and more of a document", id="document"),
        pytest.param(b"This is a text and no image at all", id="text"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", id="svg"),
        pytest.param(SMALL[: len(SMALL) // 2], id="truncated"),
        pytest.param(a_photograph(1200, 900, "JPEG", quality=20), id="pixels"),
        pytest.param(a_photograph(2010, 10, "PNG"), id="aspect"),
    ],
)
async def test_the_page_refuses_in_the_very_words_of_the_gateway(data: bytes, page: Page, gateway: Gateway) -> None:
    url = encode_data_url(data, "image/png").decode()
    refused = (await gateway.chat(chat_request(image_part(url)))).json()["error"]
    playground = await Playground(page, gateway).open()
    await playground.transfer("drop", [a_file("a.png", data)])
    await page.wait_for_selector(".thumbnail .problem")
    if data and len(data) <= 100_000:
        assert await playground.problem() == f"{refused['code']} {refused['message']}"
    else:
        assert refused["code"] in await playground.problem()
    assert refused["code"] in await playground.refused()


@pytest.mark.gateway(max_images=2)
async def test_too_many_images_are_refused_before_they_are_sent(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open()
    await playground.choose(*[a_file(f"{number}.png", SMALL) for number in range(3)])
    await playground.images(3)

    assert await playground.refused() == "too_many_images The request has 3 images; 2 are allowed. Split it."


async def test_images_are_reordered_and_removed_by_keyboard(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open()
    await playground.choose(*[a_file(f"{name}.png", SMALL) for name in "abc"])
    await playground.images(3)
    await playground.thumbnail(1).locator("[aria-label$=later]").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".thumbnail:nth-child(2) .name[title='a.png']")
    await page.wait_for_selector(".thumbnail:nth-child(2) [aria-label$=later]:focus")
    await page.keyboard.press("Alt+ArrowRight")
    await page.wait_for_selector(".thumbnail:nth-child(3) .name[title='a.png']")
    await page.wait_for_timeout(100)
    await page.keyboard.press("Delete")
    await page.wait_for_selector(".thumbnail:nth-child(3)", state="detached")

    assert await page.locator(".thumbnail .name").all_inner_texts() == ["b.png", "c.png"]


async def test_images_are_reordered_by_drag(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open()
    await playground.choose(*[a_file(f"{name}.png", SMALL) for name in "abc"])
    await playground.images(3)
    await playground.thumbnail(3).locator(".name").drag_to(playground.thumbnail(1).locator(".frame"))
    await page.wait_for_selector(".thumbnail:nth-child(1) .name[title='c.png']")

    assert await page.locator(".thumbnail .name").all_inner_texts() == ["c.png", "a.png", "b.png"]


async def test_a_cropped_region_is_what_is_sent(page: Page, gateway: Gateway, upstream: LoopbackServer) -> None:
    playground = await Playground(page, gateway).open()
    await playground.choose(a_file("a.png", a_photograph(200, 100, "PNG")))
    await playground.images()
    await playground.thumbnail().locator("[aria-label^=Crop]").click()
    await page.fill("#crop-width", "50")
    await page.press("#crop-width", "Tab")
    await page.click("#crop .primary")
    await page.wait_for_selector(".facts:has-text('50 \u00d7 100')")
    answer = await playground.ask()

    assert (await playground.figures(answer))["Image tokens"] == "8"


async def test_the_models_view_is_the_gateways_own_with_a_key(
    page: Page, gateway: Gateway, upstream: LoopbackServer
) -> None:
    playground = await Playground(page, gateway).open()
    await page.select_option("#detail", "low")
    await playground.choose(a_file("a.jpg", a_photograph(2000, 1000, "JPEG"), "image/jpeg"))
    await playground.images()
    await playground.thumbnail().locator("[aria-pressed]").click()
    await page.wait_for_selector(".facts:has-text('from the gateway')")

    facts = await playground.thumbnail().locator(".facts").inner_text()
    assert "768 \u00d7 384" in facts
    assert "378 tokens" in facts
    assert not [request for request in upstream.received if request.method == "POST"]


async def test_the_models_view_is_an_estimate_without_a_key(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open(key=False)
    await page.select_option("#detail", "low")
    await playground.choose(a_file("a.jpg", a_photograph(2000, 1000, "JPEG"), "image/jpeg"))
    await playground.images()
    await playground.thumbnail().locator("[aria-pressed]").click()
    await page.wait_for_selector(".facts:has-text('estimate of this browser')")

    facts = await playground.thumbnail().locator(".facts").inner_text()
    assert "768 \u00d7 384" in facts
    assert "378 tokens" in facts


async def test_downsizing_here_sends_fewer_bytes(page: Page, gateway: Gateway) -> None:
    photograph = a_photograph(3000, 2000, "JPEG", quality=95)
    playground = await Playground(page, gateway).open()
    await page.check("#downsize")
    await playground.choose(a_file("a.jpg", photograph, "image/jpeg"))
    await playground.images()
    answer = await playground.ask()

    kilobytes, unit = (await playground.figures(answer))["Sent"].split()
    assert unit == "kB"
    assert 10 < float(kilobytes) < len(photograph) / 1024


async def test_a_large_photograph_blocks_no_frame(page: Page, gateway: Gateway, tmp_path: Path) -> None:
    photograph = tmp_path / "noise.jpg"
    Image.effect_noise((3600, 2700), 90).convert("RGB").save(photograph, "JPEG", quality=97)
    assert 10_000_000 < photograph.stat().st_size < 15_000_000
    await Playground(page, gateway).open()
    await page.evaluate(
        """() => { window.longest = 0; new PerformanceObserver((list) => {
          for (const one of list.getEntries()) window.longest = Math.max(window.longest, one.duration);
        }).observe({ entryTypes: ["longtask"] }); }"""
    )
    await page.set_input_files("#files", photograph)
    await page.wait_for_selector(".thumbnail img", timeout=30_000)

    assert await page.evaluate("() => window.longest") < 100
