"""The guide in a real browser: its calculator counts as the gateway does, it loads nothing, and axe finds nothing."""

import random

import pytest
from playwright.async_api import Browser, Page

from obscura.api.vision_guide import PATH
from obscura.imaging import Detail
from obscura.imaging.limits import ImageLimits
from obscura.imaging.resize import target_size
from obscura.imaging.tokens import TokenProfile, image_tokens
from tests.support.axe import violations
from tests.support.gateway import Gateway

LIMITS = ImageLimits()
EDGES = [
    (1, 1),
    (512, 512),
    (768, 768),
    (1536, 768),
    (2048, 2048),
    (2048, 768),
    (1800, 2400),
    (14, 42),
    (4000, 20),
    (200, 1),
]


def sizes() -> list[tuple[int, int]]:
    """Edges of the rules, and sizes drawn with a fixed seed that no limit refuses."""
    draw = random.Random(7)  # noqa: S311 sizes, no secrets
    drawn = [(draw.randint(1, 7000), draw.randint(1, 7000)) for _ in range(400)]
    return [size for size in EDGES + drawn if max(size) <= LIMITS.aspect_ratio * min(size)]


@pytest.mark.parametrize("profile", TokenProfile)
async def test_the_calculator_counts_as_the_gateway_does(page: Page, gateway: Gateway, profile: TokenProfile) -> None:
    await page.goto(gateway.url + PATH)
    asked = [(*size, profile, detail, 1.62) for size in sizes() for detail in Detail]

    counted = await page.evaluate("all => all.map(one => imageTokens(...one))", asked)

    for (width, height, _, detail, factor), shown in zip(asked, counted, strict=True):
        seen = target_size(width, height, detail.longest_side_px, LIMITS.aspect_ratio)
        tokens = image_tokens(*seen, profile, detail, factor)
        assert (shown["width"], shown["height"], shown["tokens"]) == (*seen, tokens), (width, height, detail)


async def test_the_calculator_answers_while_one_types(page: Page, gateway: Gateway) -> None:
    await page.goto(gateway.url + PATH)

    await page.fill("[name=width]", "1280")
    await page.fill("[name=height]", "1280")
    assert (await page.text_content("#tokens") or "").startswith("2,116 tokens; the model sees 1,280 ")

    await page.fill("[name=width]", "90000")
    assert "image_too_many_pixels" in (await page.text_content("#tokens") or "")
    await page.fill("[name=width]", "")
    assert "whole numbers" in (await page.text_content("#tokens") or "")


async def test_the_guide_asks_for_nothing_else_and_breaks_no_csp(page: Page, gateway: Gateway) -> None:
    requested: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda message: said.append(message.text))

    response = await page.goto(gateway.url + PATH)

    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert [url for url in requested if not url.startswith("data:")] == [gateway.url + PATH]
    assert said == []
    assert await page.text_content("pre .base") == gateway.url
    markup = await page.content()
    assert not [word for word in ('src="http', 'href="http', "url(http") if word in markup]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_guide_is_readable_at_360_px_without_violations(
    browser: Browser, gateway: Gateway, scheme: str
) -> None:
    context = await browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)  # type: ignore[arg-type]
    page = await context.new_page()
    await page.goto(gateway.url + PATH)

    assert await violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    await context.close()
