"""Attacks through what an upstream answers: nothing leaves that moderation has not seen, nor what it refuses."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from tests.support.fake_upstream import answers, verdict
from tests.support.gateway import Gateway, running_gateway
from tests.support.image_requests import GREEN, a_generation, answers_images, b64, opened
from tests.support.image_urls import data_url, image_in
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server
from tests.unit.imaging.images import a_photograph, a_plain, exif, saved

GENERATIONS = "/v1/images/generations"
MAGENTA = (255, 0, 255)


def sees(image: Image.Image, colour: tuple[int, int, int]) -> bool:
    """Whether over a hundredth of an image is about of this colour."""
    pixels = np.asarray(image.convert("RGB").resize((64, 64))).astype(int)
    return bool((np.abs(pixels - colour).max(axis=2) < 40).sum() > 40)


class Moderation:
    """A moderation server that flags images with magenta or black in them, and keeps the images that it was sent."""

    def __init__(self) -> None:
        self.images: list[Image.Image] = []
        self.texts: list[str] = []

    async def __call__(self, request: Received, wire: Wire) -> None:
        sent = request.json()["input"]
        flagged = False
        if isinstance(sent, str):
            self.texts.append(sent)
            flagged = "marker" in sent
        else:
            image = opened(image_in(sent[0]["image_url"]["url"]))
            self.images.append(image)
            flagged = sees(image, MAGENTA)
        await answers(verdict({"violence": 0.9} if flagged else None))(request, wire)


@pytest.fixture
async def moderation() -> Moderation:
    return Moderation()


@pytest.fixture
async def moderated(upstream: LoopbackServer, moderation: Moderation) -> AsyncIterator[Gateway]:
    async with (
        loopback_server(moderation) as server,
        running_gateway(
            upstream_url=upstream.v1, moderation="openai", moderation_url=server.v1, moderation_key="k"
        ) as served,
    ):
        yield served


async def code_of(gateway: Gateway, **fields: Any) -> tuple[int, str | None, str | None]:
    response = await gateway.client.post(GENERATIONS, json=a_generation(**fields))
    error = response.json().get("error", {})
    assert (response.status_code == 200) == ("data" in response.json())
    return response.status_code, error.get("code"), error.get("param")


async def test_one_flagged_image_refuses_the_whole_answer(moderated: Gateway, upstream: LoopbackServer) -> None:
    flagged = a_photograph(80, 60, "PNG")
    upstream.respond = answers_images(GREEN, a_plain(64, 64, "PNG", MAGENTA))

    response = await moderated.client.post(GENERATIONS, json=a_generation(n=2))

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "moderation_blocked", "data[1]")
    assert response.headers["x-should-retry"] == "false"
    assert b64(GREEN) not in response.text
    assert b64(flagged) not in response.text


async def test_a_flagged_prompt_never_reaches_the_upstream(moderated: Gateway, upstream: LoopbackServer) -> None:
    status, code, _ = await code_of(moderated, prompt="Draw the marker")

    assert (status, code, upstream.received) == (400, "moderation_blocked", [])


@pytest.mark.parametrize("field", ["negative_prompt", "style_notes"])
async def test_other_texts_of_a_request_are_moderated_too(
    field: str, moderated: Gateway, upstream: LoopbackServer
) -> None:
    status, code, _ = await code_of(moderated, **{field: "draw the marker, please"})

    assert (status, code, upstream.received) == (400, "moderation_blocked", [])


def _transparent(colour: tuple[int, int, int], alpha: int) -> bytes:
    """A drawing of this colour on nothing."""
    image = Image.new("RGBA", (200, 200), (0, 255, 0, 0))
    ImageDraw.Draw(image).rectangle((20, 20, 180, 180), (*colour, alpha))
    return saved(image, "PNG")


@pytest.mark.parametrize("alpha", [3, 128, 255])
async def test_a_drawing_on_nothing_is_seen_however_faint(
    alpha: int, moderated: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = answers_images(_transparent(MAGENTA, alpha))

    assert await code_of(moderated) == (400, "moderation_blocked", "data[0]")


async def test_white_on_nothing_is_shown_to_moderation_on_black(
    moderated: Gateway, upstream: LoopbackServer, moderation: Moderation
) -> None:
    upstream.respond = answers_images(_transparent((255, 255, 255), 255))

    assert (await code_of(moderated))[0] == 200
    assert any(sees(image, (0, 0, 0)) and sees(image, (255, 255, 255)) for image in moderation.images)


async def test_colours_under_an_alpha_of_zero_do_not_leave(moderated: Gateway, upstream: LoopbackServer) -> None:
    image = Image.new("RGBA", (100, 100), (0, 128, 0, 255))
    image.paste((*MAGENTA, 0), (0, 0, 50, 100))
    upstream.respond = answers_images(saved(image, "PNG"))

    response = await moderated.client.post(GENERATIONS, json=a_generation(response_format="url"))

    made = opened_url(response.json()["data"][0]["url"])
    assert (made.getpixel((10, 10)), made.getpixel((90, 90))) == ((255, 255, 255, 0), (0, 128, 0, 255))


def opened_url(url: str) -> Image.Image:
    return opened(image_in(url))


def _animated(image_format: str) -> bytes:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("green", "magenta")]
    file = io.BytesIO()
    frames[0].save(file, image_format, save_all=True, append_images=frames[1:], duration=100)
    return file.getvalue()


def _with_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("secret", "hidden")
    return saved(Image.new("RGB", (64, 64), "green"), "PNG", pnginfo=info)


@pytest.mark.parametrize(
    "file",
    [
        _animated("GIF"),
        _animated("PNG"),
        _animated("WEBP"),
        _with_text(),
        GREEN + b"trailing",
        a_photograph(64, 64, "JPEG", exif=exif(6)),
        a_photograph(64, 64, "WEBP", exif=exif(3)),
    ],
    ids=["gif", "apng", "webp", "text", "trailing", "jpeg", "exif"],
)
async def test_only_the_pixels_that_were_seen_leave(
    file: bytes, moderated: Gateway, upstream: LoopbackServer, moderation: Moderation
) -> None:
    upstream.respond = answers_images(file)

    response = await moderated.client.post(GENERATIONS, json=a_generation(response_format="url"))

    made = opened_url(response.json()["data"][0]["url"])
    assert getattr(made, "n_frames", 1) == 1
    assert not made.getexif()
    assert "secret" not in made.info
    [seen] = moderation.images
    assert made.size == seen.size


@pytest.mark.parametrize(
    "file",
    [b"", b"no image", a_plain(9000, 9000, "PNG", 0, "L"), a_plain(3000, 1, "PNG"), a_photograph(64, 64, "JPEG")[:-90]],
    ids=["empty", "text", "bomb", "thin", "cut"],
)
async def test_a_file_that_cannot_be_used_is_the_upstreams_fault(
    file: bytes, moderated: Gateway, upstream: LoopbackServer, moderation: Moderation
) -> None:
    upstream.respond = answers_images(file)

    assert await code_of(moderated) == (502, "upstream_error", "data[0]")
    assert moderation.images == []


async def test_a_file_over_the_limit_of_bytes_is_refused(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = answers(json.dumps({"data": [{"b64_json": "A" * (36 << 20)}]}).encode())

    assert await code_of(gateway) == (502, "upstream_error", "data[0]")


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "http://example.com/a.png",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "data:text/html,<p>",
    ],
)
async def test_a_url_of_the_upstreams_is_fetched_by_the_rules_of_all_urls(
    url: str, gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = answers_images(url)

    assert await code_of(gateway) == (502, "upstream_error", "data[0]")


async def test_a_redirect_to_a_private_address_is_not_followed(upstream: LoopbackServer) -> None:
    async def elsewhere(request: Received, wire: Wire) -> None:
        await wire.answer(302, b"", location=f"{upstream.origin}/private.png")

    async with (
        loopback_server(elsewhere) as host,
        running_gateway(upstream_url=upstream.v1, fetch_allow=(host.origin,)) as gateway,
    ):
        upstream.respond = answers_images(f"{host.origin}/a.png")

        assert await code_of(gateway) == (502, "upstream_error", "data[0]")
        assert [request.path for request in upstream.received] == ["/v1/images/generations"]


async def test_a_private_url_of_the_upstreams_is_not_passed_on(upstream: LoopbackServer) -> None:
    async def image(request: Received, wire: Wire) -> None:
        await wire.answer(200, GREEN, content_type="image/png")

    async with (
        loopback_server(image) as host,
        running_gateway(upstream_url=upstream.v1, fetch_allow=(host.origin,)) as gateway,
    ):
        upstream.respond = answers_images(f"{host.origin}/made.png?signature=secret")
        response = await gateway.client.post(GENERATIONS, json=a_generation(response_format="url"))

    assert response.json()["data"] == [{"url": data_url(GREEN)}]


async def test_an_answer_in_another_shape_brings_nothing_along(gateway: Gateway, upstream: LoopbackServer) -> None:
    more = {"b64_json": b64(GREEN), "preview": data_url(GREEN), "url": "https://x.example/a.png"}
    upstream.respond = answers({"data": [more], "thumbnail": data_url(GREEN)})

    response = await gateway.client.post(GENERATIONS, json=a_generation())

    assert response.json() == {"data": [{"b64_json": b64(GREEN)}]}
