"""Attacks by what a caller sends: hidden colours of masks and images, references where nothing checks them."""

from collections.abc import AsyncIterator

import pytest

from obscura.dialects.images.form import FILES
from tests.security.images_out.test_what_comes_back import MAGENTA, Moderation
from tests.support.gateway import Gateway, running_gateway
from tests.support.image_requests import (
    GREEN,
    a_cutout,
    a_generation,
    an_edit,
    answers_images,
    file_of,
    form_of,
    opened,
)
from tests.support.image_urls import data_url, image_in
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.unit.imaging.images import a_plain, saved

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"


@pytest.fixture
async def moderation() -> Moderation:
    return Moderation()


@pytest.fixture
async def moderated(upstream: LoopbackServer, moderation: Moderation) -> AsyncIterator[Gateway]:
    upstream.respond = answers_images(GREEN)
    async with (
        loopback_server(moderation) as server,
        running_gateway(
            upstream_url=upstream.v1, moderation="openai", moderation_url=server.v1, moderation_key="k"
        ) as served,
    ):
        yield served


@pytest.mark.parametrize("hidden", ["mask", "image"])
async def test_colours_under_an_alpha_of_zero_do_not_go_out(
    hidden: str, moderated: Gateway, upstream: LoopbackServer, moderation: Moderation
) -> None:
    image, cutout = a_plain(100, 100, "PNG"), a_cutout(100, 100, (0, 0, 50, 100), MAGENTA)
    files = (
        {"image": ("a.png", cutout)} if hidden == "image" else {"image": ("a.png", image), "mask": ("m.png", cutout)}
    )

    response = await moderated.client.post(EDITS, data={"model": "m", "prompt": "A cat"}, files=files)

    assert response.status_code == 200, response.text
    sent = opened(file_of(form_of(upstream.received[0]), hidden))
    assert (sent.getpixel((10, 10)), sent.getpixel((90, 90))) == ((255, 255, 255, 0), (255, 0, 0, 255))
    assert sent.convert("RGB").tobytes() in [seen.convert("RGB").tobytes() for seen in moderation.images]


@pytest.mark.parametrize("part", ["images", "mask"])
async def test_visible_colours_of_masks_and_images_are_moderated(
    part: str, moderated: Gateway, upstream: LoopbackServer
) -> None:
    flagged = opened(a_cutout(100, 100, (0, 0, 20, 20)))
    flagged.paste((*MAGENTA, 255), (20, 20, 100, 100))
    bad, good = data_url(saved(flagged, "PNG")), data_url(a_plain(100, 100, "PNG"))
    body = an_edit(good, mask={"image_url": bad}) if part == "mask" else an_edit(good, bad)

    response = await moderated.client.post(EDITS, json=body)

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "moderation_blocked")
    assert error["param"].startswith(part)
    assert upstream.received == []


async def test_colours_that_hardly_show_are_flattened(moderated: Gateway, upstream: LoopbackServer) -> None:
    faint = opened(a_cutout(100, 100, (0, 0, 20, 20)))
    faint.paste((*MAGENTA, 1), (20, 20, 100, 100))

    response = await moderated.client.post(EDITS, json=an_edit(data_url(saved(faint, "PNG"))))

    assert response.status_code == 200, response.text
    sent = opened(image_in(upstream.received[0].json()["images"][0]["image_url"]))
    assert min(sent.getpixel((60, 60))[:3]) >= 250


@pytest.mark.parametrize("field", ["image_url", "image_urls"])
async def test_reference_images_are_moderated(field: str, moderated: Gateway, upstream: LoopbackServer) -> None:
    flagged = data_url(a_plain(64, 64, "PNG", MAGENTA))

    response = await moderated.client.post(
        GENERATIONS, json=a_generation(**{field: flagged if field == "image_url" else [flagged]})
    )

    assert (response.status_code, response.json()["error"]["code"]) == (400, "moderation_blocked")
    assert upstream.received == []


@pytest.mark.parametrize("name", ["Image_url", "IMAGE_URLS", "File_Id", "Stream", "Prompt"])
async def test_almost_known_names_are_refused(name: str, gateway: Gateway, upstream: LoopbackServer) -> None:
    response = await gateway.client.post(GENERATIONS, json=a_generation(**{name: "x"}))

    assert (response.status_code, response.json()["error"]["param"], upstream.received) == (400, name, [])


async def test_a_private_reference_is_not_fetched(gateway: Gateway, upstream: LoopbackServer) -> None:
    response = await gateway.client.post(GENERATIONS, json=a_generation(image_url="https://169.254.169.254/"))

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "unsafe_image_url", "image_url")


async def test_fields_of_a_form_cannot_carry_an_image(gateway: Gateway, upstream: LoopbackServer) -> None:
    for name in ("init_image", "markup", "image_url", "images"):
        data = {"model": "m", "prompt": "A cat", name: data_url(GREEN)}
        response = await gateway.client.post(EDITS, data=data, files={"image": ("a.png", GREEN)})

        assert (response.status_code, response.json()["error"]["param"]) == (400, name), name
    assert upstream.received == []
    assert set(FILES) == {"image", "image[]", "mask"}


async def test_a_name_of_a_field_writes_no_other_part(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = answers_images(GREEN)
    name = 'a"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name="mask'
    body = {"model": "m", "prompt": "A cat", name: "y"}

    response = await gateway.client.post(EDITS, data=body, files={"image": ("a.png", GREEN)})

    assert response.status_code in {200, 400}
    for received in upstream.received:
        assert [file.name for file in form_of(received).files] == ["image"]


async def test_a_stored_file_of_another_project_is_not_edited(gateway: Gateway, upstream: LoopbackServer) -> None:
    stored = await gateway.client.post("/v1/files", files={"file": ("a.png", GREEN)}, data={"purpose": "vision"})
    other = await gateway.headers_of("other")

    response = await gateway.client.post(
        EDITS, json=a_generation(images=[{"file_id": stored.json()["id"]}]), headers=other
    )

    assert (response.status_code, response.json()["error"]["code"]) == (404, "file_not_found")
    assert upstream.received == []
