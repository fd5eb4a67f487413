"""The demo: it measures images, takes any request that the gateway takes, and flags what the README names."""

import json

import pytest

from obscura.dialects.base import UpstreamBody
from obscura.dialects.chat.events import PASSTHROUGH
from obscura.imaging import Detail, TokenProfile, image_tokens
from obscura.moderation.demo import DemoModerator
from obscura.upstreams.demo import PIECE_CHARS, DemoModel, count_words
from tests.support.chat_bodies import a_message, a_request
from tests.support.image_urls import data_url
from tests.unit.imaging.images import a_photograph, a_plain

MAGENTA = (255, 0, 255)


async def response_of_the_demo(request: dict, *, streamed: bool = False) -> bytes:
    body = UpstreamBody("chat", json.dumps(request).encode(), streamed, PASSTHROUGH)
    response = await DemoModel().send(body)
    return response if isinstance(response, bytes) else b"".join([chunk async for chunk in response.chunks])


async def content_of_the_demo(request: dict) -> str:
    return json.loads(await response_of_the_demo(request))["choices"][0]["message"]["content"]


async def test_it_names_itself_a_demo_and_describes_the_image() -> None:
    image = {"type": "image_url", "image_url": {"url": data_url(a_plain(64, 32, "PNG", (0, 0, 255)))}}

    content = await content_of_the_demo(a_request(a_message({"type": "text", "text": "What is this?"}, image)))

    assert "demo" in content
    assert "landscape PNG of 64 x 32 pixels" in content
    assert "blue" in content
    assert "3 words" in content


async def test_images_are_described_in_order() -> None:
    parts = [
        {"type": "image_url", "image_url": data_url(a_plain(32, 64, "JPEG"))},
        {"image_url": {"url": data_url(a_plain(8, 8, "GIF"))}},
    ]

    content = await content_of_the_demo(a_request(a_message(*parts)))

    assert content.index("upright JPEG of 32 x 64") < content.index("square GIF of 8 x 8")


async def test_a_stream_has_the_same_words_and_the_usage_if_requested() -> None:
    request = a_request({"role": "user", "content": "hi"}, stream=True, stream_options={"include_usage": True})

    events = (await response_of_the_demo(request, streamed=True)).decode().split("\n\n")

    *chunks, done, end = events
    read = [json.loads(event.removeprefix("data: ")) for event in chunks]
    words = "".join(choice["delta"].get("content", "") for chunk in read for choice in chunk["choices"])
    assert (done, end) == ("data: [DONE]", "")
    assert words.strip() == await content_of_the_demo(request)
    assert [bool(chunk.get("usage")) for chunk in read] == [False] * (len(read) - 1) + [True]


@pytest.mark.parametrize("sides", [(48, 32), (1, 1), (10, 300), (1280, 960), (768, 768)])
async def test_the_tokens_of_the_prompt_include_those_of_its_images(sides: tuple[int, int]) -> None:
    image = {"type": "image_url", "image_url": {"url": data_url(a_plain(*sides, "PNG"))}}

    usage = json.loads(await response_of_the_demo(a_request(a_message(image, image))))["usage"]

    assert usage["prompt_tokens"] == 1 + 2 * image_tokens(*sides, TokenProfile.QWEN, Detail.AUTO)


async def test_each_response_has_one_id_of_its_own() -> None:
    request = a_request({"role": "user", "content": "hi"})

    first, second = json.loads(await response_of_the_demo(request)), json.loads(await response_of_the_demo(request))
    events = (await response_of_the_demo(request, streamed=True)).decode().split("\n\n")[:-2]

    assert first["id"] != second["id"]
    assert len({json.loads(event.removeprefix("data: "))["id"] for event in events}) == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    "request_",
    [
        a_request({"role": "assistant"}),
        a_request({"role": "user", "content": None}),
        a_request({"role": "user", "content": []}),
        a_request(a_message("a", "b")),
        a_request(a_message({})),
        a_request(a_message({"type": "text"})),
        a_request(a_message({"type": "text", "text": None})),
        a_request(a_message({"type": "text", "text": 5})),
        a_request(a_message({"type": "text", "text": ["a"]})),
        a_request(a_message({"type": "text", "text": {"a": 1}})),
        a_request(a_message({"type": "input_audio", "input_audio": {}})),
        a_request({"role": "user", "content": "hi"}, stream_options=None),
        a_request({"role": "user", "content": "hi"}, stream_options="x"),
        a_request({"role": "user", "content": "hi"}, stream_options=[1]),
        a_request({"role": "user", "content": "hi"}, stream_options=1),
        a_request({"role": "user", "content": "hi"}, stream_options={"include_usage": "x"}),
    ],
    ids=str,
)
async def test_any_request_that_the_gateway_takes_gets_a_response(request_: dict, streamed: bool) -> None:
    assert b"demo" in await response_of_the_demo(request_, streamed=streamed)


@pytest.mark.parametrize("text", ["OBSCURA-BLOCK-ME", "please obscura-block-me now", "xOBSCURA-block-MEx"])
async def test_the_marker_word_is_flagged_in_any_text(text: str) -> None:
    verdict = await DemoModerator().review_text(text)

    assert (verdict.flagged, verdict.category) == (True, "demo/test")


async def test_other_text_is_not_flagged() -> None:
    assert not (await DemoModerator().review_text("OBSCURA BLOCK ME")).flagged


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_the_plain_magenta_image_is_flagged_in_every_format(image_format: str) -> None:
    image = a_plain(64, 48, image_format, MAGENTA)

    assert (await DemoModerator().review_image(data_url(image).encode())).flagged


async def test_other_images_are_not_flagged() -> None:
    for image in (
        a_photograph(64, 48, "JPEG"),
        a_plain(64, 48, "PNG", (255, 0, 0)),
        a_plain(9, 9, "PNG", (255, 0, 200)),
    ):
        assert not (await DemoModerator().review_image(data_url(image).encode())).flagged


@pytest.mark.parametrize("around", range(-3, 4))
@pytest.mark.parametrize("word", ["ab ", "  a", "a", " ", "\u2003é\x1c"])
def test_words_are_counted_across_the_ends_of_pieces(word: str, around: int) -> None:
    text = (word * PIECE_CHARS)[: 2 * PIECE_CHARS + around]

    assert count_words(text) == len(text.split())
    assert count_words("") == 0
