"""Images end to end: what the caller sends, what the model gets, what the response says."""

import json
import logging

import pytest
from PIL import Image

from obscura.imaging import image_tokens
from tests.support.fake_upstream import ANSWER, CHUNKS, answers, streams, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url, image_in
from tests.support.json_texts import data_urls_in
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.unit.imaging.images import (
    a_photograph,
    a_plain,
    an_animation,
    corners,
    exif,
    four_corners,
    one_of_each,
    opened,
    saved,
)

MEBIBYTE = 1024 * 1024
PART = "messages[0].content[0].image_url.url"


def images_seen(body: bytes) -> list[Image.Image]:
    return [opened(image_in(url)) for url in data_urls_in(body)]


@pytest.mark.parametrize(
    ("detail", "size", "tokens"), [("low", (768, 576), 567), ("auto", (1280, 960), 1564), ("high", (2048, 1536), 4015)]
)
async def test_an_image_is_downsized_by_its_detail_and_replaced_in_place(
    detail: str, size: tuple[int, ...], tokens: int
) -> None:
    image = a_photograph(2400, 1800, "JPEG")
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        sent = chat_request(
            text("What is it?"), image_part(data_url(image, "image/jpeg"), detail=detail), text("Be brief.")
        )

        response = await gateway.chat(sent)

        seen = upstream.received[0].json()
        before, part, after = seen["messages"][0]["content"]
        assert (before, after) == (text("What is it?"), text("Be brief."))
        assert part["type"] == "image_url"
        assert part["image_url"]["detail"] == detail
        assert opened(image_in(part["image_url"]["url"])).size == size
        assert response.headers["x-image-tokens"] == str(tokens)
        assert response.json()["usage"] == ANSWER["usage"] | {"prompt_tokens_details": {"image_tokens": tokens}}


async def test_images_keep_their_order_and_are_counted_each_and_in_sum() -> None:
    sizes = [(1280, 1280), (56, 28), (768, 768), (28, 112)]
    parts = [image_part(data_url(a_plain(*size, "PNG"))) for size in sizes]
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await gateway.chat(chat_request(*parts))

        expected = [image_tokens(*size) for size in sizes]
        assert [image.size for image in images_seen(upstream.received[0].body)] == sizes
        assert response.headers["x-image-tokens"] == ",".join(map(str, expected))
        assert response.json()["usage"]["prompt_tokens_details"] == {"image_tokens": sum(expected)}


async def test_a_streams_usage_has_the_image_tokens_and_the_rest_is_unchanged(
    upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = streams()
    response = await gateway.chat(chat_request(image_part(data_url(a_plain(768, 768, "PNG"))), stream=True))

    assert response.headers["x-image-tokens"] == "729"
    *events, usage_event, done, _ = response.content.split(b"\n\n")
    assert b"\n\n".join(events) + b"\n\n" == b"".join(CHUNKS[:-2])
    assert done == b"data: [DONE]"
    usage = json.loads(usage_event.removeprefix(b"data: "))["usage"]
    assert usage == ANSWER["usage"] | {"prompt_tokens_details": {"image_tokens": 729}}


async def test_without_images_there_are_no_image_tokens(gateway: Gateway) -> None:
    response = await gateway.chat(chat_request("hi"))

    assert "x-image-tokens" not in response.headers
    assert response.json()["usage"] == ANSWER["usage"]


async def test_moderation_and_model_get_the_same_bytes() -> None:
    kinds = [*one_of_each().values()]
    images = [image_part(data_url(image)) for image in [a_photograph(1600, 900, "JPEG"), *kinds][:16]]
    async with (
        loopback_server(answers()) as upstream,
        loopback_server(answers(verdict())) as moderation,
        running_gateway(upstream_url=upstream.v1, moderation="openai", moderation_url=moderation.v1) as gateway,
    ):
        response = await gateway.chat(chat_request(*images))

        assert response.status_code == 200
        checked = [url for request in moderation.received for url in data_urls_in(request.body)]
        seen = data_urls_in(upstream.received[0].body)
        assert len(seen) == 16
        assert set(checked) == set(seen)  # equal ones may be moderated once


async def test_of_an_animation_the_model_gets_the_one_moderated_frame() -> None:
    parts = [image_part(data_url(an_animation(40, 30, kind))) for kind in ("GIF", "PNG", "WEBP")]
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        await gateway.chat(chat_request(*parts))

        for image in images_seen(upstream.received[0].body):
            assert getattr(image, "n_frames", 1) == 1
            assert image.convert("RGB").getpixel((5, 5))[0] > 240


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
async def test_a_photograph_arrives_upright_and_without_metadata(orientation: int) -> None:
    turns = {1: 0, 3: 180, 6: 90, 8: 270}
    stored = four_corners(160, 120).rotate(turns[orientation], expand=True)
    image = saved(stored, "JPEG", quality=95, exif=exif(orientation))
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        await gateway.chat(chat_request(image_part(data_url(image, "image/jpeg"))))

        (url,) = data_urls_in(upstream.received[0].body)
        assert corners(image_in(url)) == ["red", "green", "blue", "white"]
        assert opened(image_in(url)).size == (160, 120)
        assert b"Exif" not in image_in(url)


async def test_an_unchanged_image_has_the_media_type_of_its_bytes() -> None:
    plain = a_plain(64, 64, "PNG")
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        await gateway.chat(chat_request(image_part(data_url(plain, "image/jpeg"))))

        (url,) = data_urls_in(upstream.received[0].body)
        assert url.decode() == data_url(plain, "image/png")


async def test_an_avif_is_prepared_like_any_other_image() -> None:
    turned = four_corners(2000, 1600).transpose(Image.Transpose.ROTATE_90)
    avif = saved(turned, "AVIF", quality=80, exif=exif(6))
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await gateway.chat(chat_request(image_part(data_url(avif, "image/jpeg"))))

        (url,) = data_urls_in(upstream.received[0].body)
        assert response.headers["x-image-tokens"] == str(image_tokens(1280, 1024))
        assert url.startswith(b"data:image/png;base64,")
        assert opened(image_in(url)).size == (1280, 1024)
        assert corners(image_in(url)) == ["red", "green", "blue", "white"]


async def test_a_stored_avif_has_its_media_type_and_is_used_by_its_id() -> None:
    avif = a_photograph(300, 200, "AVIF")
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        stored = await gateway.client.post("/v1/files", files={"file": ("a.avif", avif)})
        file_id = stored.json()["id"]
        content = await gateway.client.get(f"/v1/files/{file_id}/content")

        response = await gateway.chat(chat_request({"type": "image_url", "image_url": {"file_id": file_id}}))

        assert stored.json()["mime_type"] == content.headers["content-type"] == "image/avif"
        assert content.content == avif
        assert response.status_code == 200
        assert [image.size for image in images_seen(upstream.received[0].body)] == [(300, 200)]


async def test_an_image_by_url_is_fetched_and_goes_upstream_as_a_data_url() -> None:
    image = a_photograph(300, 200, "JPEG")
    async with (
        loopback_server(answers(image)) as host,
        loopback_server(answers()) as upstream,
        running_gateway(upstream_url=upstream.v1, fetch_allow=(host.origin,)) as gateway,
    ):
        response = await gateway.chat(
            chat_request(image_part(f"{host.origin}/a.png?size=1"), image_part(data_url(a_plain(9, 9, "PNG"))))
        )

        assert response.status_code == 200
        assert [(one.method, one.path) for one in host.received] == [("GET", "/a.png?size=1")]
        assert "authorization" not in host.received[0].headers
        assert [image.size for image in images_seen(upstream.received[0].body)] == [(300, 200), (9, 9)]
        assert host.origin.encode() not in upstream.received[0].body


async def test_a_url_with_json_escapes_is_fetched_unescaped() -> None:
    async with (
        loopback_server(answers(a_plain(9, 9, "PNG"))) as host,
        loopback_server(answers()) as upstream,
        running_gateway(upstream_url=upstream.v1, fetch_allow=(host.origin,)) as gateway,
    ):
        url = f"{host.origin}/a%20b".replace("/", "\\/").replace("a", "\\u0061")
        body = json.dumps(chat_request(image_part("URL"))).replace("URL", url)

        response = await gateway.client.post("/v1/chat/completions", content=body)

        assert response.status_code == 200
        assert host.received[0].path == "/a%20b"


@pytest.mark.parametrize("status", [404, 500])
async def test_a_url_without_an_image_is_named(status: int) -> None:
    async with (
        loopback_server(answers(b"secret page", status)) as host,
        running_gateway(fetch_allow=(host.origin,)) as gateway,
    ):
        response = await gateway.chat(
            chat_request("hi", messages=[{"role": "user", "content": [image_part(f"{host.origin}/a")]}])
        )

        assert response.status_code == 400
        assert response.json()["error"]["code"] == "image_fetch_failed"
        assert response.json()["error"]["param"] == PART
        assert "secret" not in response.text


async def test_the_demo_model_gets_the_prepared_image(demo_gateway: Gateway) -> None:
    response = await demo_gateway.chat(chat_request(image_part(data_url(a_photograph(1600, 800, "JPEG")))))

    assert "JPEG of 1280 x 640 pixels" in response.json()["choices"][0]["message"]["content"]


async def test_the_log_has_sizes_and_formats_and_nothing_of_the_content(caplog: pytest.LogCaptureFixture) -> None:
    image = data_url(a_photograph(90, 60, "PNG"))
    async with running_gateway() as gateway:
        await gateway.chat(chat_request(text("a private question"), image_part(image)))
        await gateway.chat(chat_request(text("a private question"), image_part("https://127.0.0.1/private?sig=1")))
        key = gateway.key

    handler = logging.getLogger("obscura").handlers[0]
    written = [handler.format(record) for record in caplog.records if record.name == "obscura"]
    lines = [json.loads(line) for line in written]
    assert [line["status"] for line in lines] == [200, 400]
    assert lines[0]["formats"] == ["PNG"]
    assert lines[0]["pixels_before"] == ["90x60"]
    for private in ("private", "sig=", image[30:60], key, "127.0.0.1"):
        assert private not in str(written)
