"""Answers in the playground: streams, errors and the image that they concern, comparison, data, code."""

import json

import pytest
from playwright.async_api import Page

from tests.browser.playground import Playground, a_file
from tests.support.fake_upstream import ANSWER, answers, chunk, streams
from tests.support.gateway import Gateway
from tests.support.loopback_server import LoopbackServer
from tests.support.policies import save
from tests.unit.imaging.images import a_photograph

SMALL = a_photograph(64, 48, "PNG")
XSS = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"


def says(text: str) -> dict:
    choice = ANSWER["choices"][0]
    return ANSWER | {"choices": [choice | {"message": choice["message"] | {"content": text}}]}


async def example(page: Page, label: str) -> None:
    await page.click(f"[aria-label='Example: {label}']")
    await page.wait_for_selector(".thumbnail img")


async def test_a_stream_arrives_with_usage_timings_and_request_id(
    page: Page, gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = streams()
    playground = await Playground(page, gateway).open()
    answer = await playground.ask()
    figures = await playground.figures(answer)

    assert await answer.locator(".text").inner_text() == "A cat."
    assert (figures["Input tokens"], figures["Output tokens"]) == ("10", "2")
    assert figures["Request id"].startswith("req_")
    assert {"Upload", "First byte", "Whole", "Requests left", "Window ends"} <= figures.keys()
    await answer.locator("details summary").last.click()
    await page.wait_for_selector(".raw pre")
    raw = await answer.locator(".raw").inner_text()
    assert "data: [DONE]" in raw
    assert gateway.key not in await page.content()


async def test_a_stream_stops_keeps_its_text_and_can_be_sent_again(
    page: Page, gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = streams(chunk({"role": "assistant", "content": "Once upon"}), then="stays")
    playground = await Playground(page, gateway).open()
    await page.fill("#text", "A story")
    await page.click("#send")
    await page.wait_for_selector("[data-state=streaming] .text:has-text('Once upon')")
    await page.click("#stop")
    stopped = await playground.answer()
    assert (await stopped.get_attribute("data-state"), await stopped.locator(".text").inner_text()) == (
        "stopped",
        "Once upon",
    )

    upstream.respond = streams()
    await stopped.get_by_role("button", name="Regenerate").click()
    await page.wait_for_selector(".run:first-child [data-state=done]")
    await page.fill("#text", "Another")
    await (await playground.answer()).get_by_role("button", name="Edit and resend").click()
    await page.wait_for_selector("#text:focus")
    assert await page.input_value("#text") == "A story"


@pytest.mark.gateway(free_tier_requests=1)
async def test_the_free_tier_is_used_up_with_advice(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open(key=False)
    first = await playground.ask()
    assert "A cat." in await first.locator(".text").inner_text()
    second = await playground.ask()

    failure = await second.locator(".failure").inner_text()
    assert "429 free_tier_exhausted" in failure
    assert "Enter a key" in failure
    assert "Retry after" in failure


@pytest.mark.gateway(moderation="demo")
async def test_a_moderation_block_marks_the_image(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open()
    await example(page, "Moderation test")
    answer = await playground.ask()

    assert "moderation_blocked" in await answer.locator(".failure").inner_text()
    assert "moderation_blocked" in await playground.problem()
    assert await playground.thumbnail().get_attribute("aria-invalid") == "true"


@pytest.mark.gateway(key_requests_per_minute=3)
async def test_a_rate_limit_shows_when_to_try_again(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open()
    for _ in range(3):
        await playground.ask()
    answer = await playground.ask()

    failure = await answer.locator(".failure").inner_text()
    assert "rate_limit_exceeded" in failure
    assert "Retry after" in failure


async def test_zero_retention_is_asked_for_and_confirmed(page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open()
    await page.check("#zero-retention")
    answer = await playground.ask()

    assert (await playground.figures(answer))["x-zero-retention"] == "true"


async def test_two_details_are_compared_side_by_side(page: Page, gateway: Gateway, upstream: LoopbackServer) -> None:
    playground = await Playground(page, gateway).open()
    await page.select_option("#detail", "high")
    await page.select_option("#compare", "detail")
    await playground.choose(a_file("a.jpg", a_photograph(2000, 1500, "JPEG"), "image/jpeg"))
    await playground.images()
    await playground.ask()
    high, low = [await playground.figures(await playground.answer(number)) for number in (1, 2)]

    assert int(high["Image tokens"]) > int(low["Image tokens"])
    assert len(upstream.received) >= 2


async def test_two_models_are_compared(page: Page, gateway: Gateway, upstream: LoopbackServer) -> None:
    playground = await Playground(page, gateway).open()
    await page.select_option("#compare", "model")
    await page.fill("#other-model", "other")
    await playground.ask()
    await playground.answer(2)

    asked = {json.loads(request.body)["model"] for request in upstream.received if request.body}
    assert asked == {"m", "other"}


@pytest.mark.parametrize("streamed", [True, False])
async def test_markup_in_answers_names_and_errors_stays_text(
    streamed: bool, page: Page, gateway: Gateway, upstream: LoopbackServer
) -> None:
    text = f"{XSS}\n\n# {XSS}\n\n- {XSS}\n\n`{XSS}`\n\n| a | b |\n|---|---|\n| {XSS} | [x](javascript:alert(1)) |\n\n![i](https://evil.example/p.png)"
    upstream.respond = streams(chunk({"content": text}), b"data: [DONE]\n\n") if streamed else answers(says(text))
    playground = await Playground(page, gateway).open()
    await page.set_checked("#stream", streamed)
    await playground.choose(a_file(f"{XSS}.png".replace("/", "_"), SMALL))
    await playground.images()
    answer = await playground.ask(XSS)
    upstream.respond = answers({"error": {"message": XSS, "type": "x", "code": XSS, "param": XSS}}, status=400)
    assert "<script>" in await answer.locator(".text").inner_text()
    failed = await playground.ask(XSS)

    assert await failed.get_attribute("data-state") == "failed"
    assert await page.title() == "Obscura playground"
    assert await page.locator(".results script, .results a, .text img, .thumbnail script").count() == 0
    assert all(url.startswith((gateway.url, "blob:", "data:")) for url in playground.requests)


async def test_right_to_left_text_has_its_own_direction(page: Page, gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = answers(says("שלום עולם\n\nHello"))
    playground = await Playground(page, gateway).open()
    answer = await playground.ask()
    directions = await answer.locator(".text p").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).direction)"
    )

    assert directions == ["rtl", "ltr"]


async def test_json_shows_as_a_table_and_boxes_on_the_image(
    page: Page, gateway: Gateway, upstream: LoopbackServer
) -> None:
    boxes = [{"label": "sign", "bbox_2d": [10, 10, 40, 30]}, {"label": "post", "bbox_2d": [20, 30, 24, 46]}]
    upstream.respond = answers(says(json.dumps(boxes)))
    schema = {"type": "array"}
    playground = await Playground(page, gateway).open()
    await page.click("summary:has-text('Answer as data')")
    await page.fill("#schema", json.dumps(schema))
    await playground.choose(a_file("a.png", SMALL))
    await playground.images()
    answer = await playground.ask()

    sent = json.loads(upstream.received[-1].body)
    assert sent["response_format"]["json_schema"]["schema"] == schema
    assert await answer.locator("th").all_inner_texts() == ["label", "bbox_2d"]
    await answer.locator("summary:has-text('Draw 2 boxes')").click()
    await page.wait_for_selector(".drawn rect")
    assert await answer.locator(".drawn rect").count() == 2
    assert await answer.locator(".drawn text").all_text_contents() == ["sign", "post"]


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
async def test_the_code_leaves_out_key_and_base64(dialect: str, page: Page, gateway: Gateway) -> None:
    playground = await Playground(page, gateway).open()
    await page.check(f"[value={dialect}]")
    await page.fill("#text", "It's true")
    await playground.choose(a_file("a.png", SMALL))
    await playground.images()
    await page.click("#code summary")
    codes = {}
    for language, opening in (("curl", "curl"), ("python", "import os"), ("typescript", "const client")):
        await page.select_option("#language", language)
        await page.wait_for_selector(f"#snippet:has-text('{opening}')")
        codes[language] = await page.inner_text("#snippet")

    assert all("OBSCURA_KEY" in code and gateway.key not in code and "iVBOR" not in code for code in codes.values())
    compile(codes["python"], "snippet.py", "exec")
    assert f"{gateway.url}/v1" in codes["curl"]


async def test_a_policy_holds_for_requests_that_name_it(page: Page, gateway: Gateway, upstream: LoopbackServer) -> None:
    await save(gateway, rules={"denylist": ["wire transfer"]})
    playground = await Playground(page, gateway).open()
    await page.fill("#policy", "p1")
    refused = await (await playground.ask("a wire transfer")).inner_text()
    allowed = await playground.figures(await playground.ask("a letter"))

    assert "policy_blocked" in refused
    assert allowed["Policy"] == "allow"
    assert len([request for request in upstream.received if request.method == "POST"]) == 1
