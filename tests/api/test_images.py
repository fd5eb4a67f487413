"""Images on the whole road: what the caller sends, what the model gets, what the answer says."""

import json
import logging

import pytest
from PIL import Image

from obscura.imaging import image_tokens
from tests.support.fake_upstream import ANSWER, CHUNKS, answers, streams, verdict
from tests.support.gateway import chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url, image_in
from tests.support.json_texts import data_urls_in
from tests.support.loopback_server import loopback_server
from tests.unit.imaging.images import (
    a_photo,
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
async def test_a_photo_is_downsized_by_its_detail_and_replaced_in_place(detail, size, tokens) -> None:
    photo = a_photo(2400, 1800, "JPEG")
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        sent = chat_request(
            text("What is it?"), image_part(data_url(photo, "image/jpeg"), detail=detail), text("Be brief.")
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


async def test_several_images_keep_their_order_and_their_tokens_are_told_for_each_and_in_all() -> None:
    sizes = [(1280, 1280), (56, 28), (768, 768), (28, 112)]
    parts = [image_part(data_url(a_plain(*size, "PNG"))) for size in sizes]
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await gateway.chat(chat_request(*parts))

        expected = [image_tokens(*size) for size in sizes]
        assert [image.size for image in images_seen(upstream.received[0].body)] == sizes
        assert response.headers["x-image-tokens"] == ",".join(map(str, expected))
        assert response.json()["usage"]["prompt_tokens_details"] == {"image_tokens": sum(expected)}


async def test_the_usage_at_the_end_of_a_stream_has_the_image_tokens_and_all_else_is_untouched() -> None:
    async with loopback_server(streams()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await gateway.chat(chat_request(image_part(data_url(a_plain(768, 768, "PNG"))), stream=True))

        assert response.headers["x-image-tokens"] == "729"
        *events, usage_event, done, _ = response.content.split(b"\n\n")
        assert b"\n\n".join(events) + b"\n\n" == b"".join(CHUNKS[:-2])
        assert done == b"data: [DONE]"
        usage = json.loads(usage_event.removeprefix(b"data: "))["usage"]
        assert usage == ANSWER["usage"] | {"prompt_tokens_details": {"image_tokens": 729}}


async def test_without_images_no_image_tokens_are_told() -> None:
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await gateway.chat(chat_request("hi"))

        assert "x-image-tokens" not in response.headers
        assert response.json()["usage"] == ANSWER["usage"]


async def test_what_the_moderator_got_is_byte_for_byte_what_the_model_got() -> None:
    kinds = [*one_of_each().values()]
    images = [image_part(data_url(image)) for image in [a_photo(1600, 900, "JPEG"), *kinds][:16]]
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
        assert sorted(checked) == sorted(seen)


async def test_of_an_animation_the_model_sees_the_one_frame_that_was_checked() -> None:
    parts = [image_part(data_url(an_animation(40, 30, kind))) for kind in ("GIF", "PNG", "WEBP")]
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        await gateway.chat(chat_request(*parts))

        for image in images_seen(upstream.received[0].body):
            assert getattr(image, "n_frames", 1) == 1
            assert image.convert("RGB").getpixel((5, 5))[0] > 240


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
async def test_a_photo_held_sideways_arrives_upright_and_without_metadata(orientation: int) -> None:
    turns = {1: 0, 3: 180, 6: 90, 8: 270}
    stored = four_corners(160, 120).rotate(turns[orientation], expand=True)
    photo = saved(stored, "JPEG", quality=95, exif=exif(orientation))
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        await gateway.chat(chat_request(image_part(data_url(photo, "image/jpeg"))))

        (url,) = data_urls_in(upstream.received[0].body)
        assert corners(image_in(url)) == ["red", "green", "blue", "white"]
        assert opened(image_in(url)).size == (160, 120)
        assert b"Exif" not in image_in(url)


async def test_an_image_that_needs_nothing_keeps_its_bytes_and_the_type_tells_what_they_are() -> None:
    plain = a_plain(64, 64, "PNG")
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        await gateway.chat(chat_request(image_part(data_url(plain, "image/jpeg"))))

        (url,) = data_urls_in(upstream.received[0].body)
        assert url.decode() == data_url(plain, "image/png")


async def test_an_image_by_url_is_fetched_and_goes_upstream_as_a_data_url() -> None:
    photo = a_photo(300, 200, "JPEG")
    async with (
        loopback_server(answers(photo)) as host,
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


async def test_a_url_with_json_escapes_is_fetched_as_what_it_says() -> None:
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
async def test_a_url_that_gives_no_image_is_named(status: int) -> None:
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


REFUSED = {
    "loopback": ("http://127.0.0.1/a.png", "unsafe_image_url"),
    "loopback over https": ("https://127.0.0.1/a.png", "unsafe_image_url"),
    "metadata service": ("https://169.254.169.254/latest/meta-data", "unsafe_image_url"),
    "plain http": ("http://example.com/a.png", "invalid_image_url"),
    "file id": ("file_abc123", "invalid_image_url"),
    "nothing": ("", "invalid_image_url"),
    "words": ("an image of a cat", "invalid_image_url"),
    "bare base64": ("iVBORw0KGgoAAAANSUhEUg==", "invalid_image_url"),
    "file": ("file:///etc/passwd", "invalid_image_url"),
    "ftp": ("ftp://example.com/a.png", "invalid_image_url"),
    "s3": ("s3://bucket/a.png", "invalid_image_url"),
    "gs": ("gs://bucket/a.png", "invalid_image_url"),
    "javascript": ("javascript:alert(1)", "invalid_image_url"),
    "endless": ("https://example.com/" + "a" * 100_000, "invalid_image_url"),
    "not base64": ("data:image/png,abc", "invalid_image_url"),
    "bad base64": ("data:image/png;base64,A-_*", "invalid_image"),
    "empty": ("data:image/png;base64,", "invalid_image"),
    "truncated png": (data_url(a_photo(90, 60, "PNG")[:-200]), "invalid_image"),
    "truncated jpeg": (data_url(a_photo(90, 60, "JPEG")[:-200]), "invalid_image"),
    "damaged png": (data_url(a_photo(90, 60, "PNG").replace(b"IDAT", b"IDAT\0", 1)), "invalid_image"),
    "heic": (data_url(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "image/heic"), "unsupported_image_format"),
    "svg": (data_url(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"), "unsupported_image_format"),
    "bmp": (data_url(saved(four_corners(9, 9), "BMP"), "image/png"), "unsupported_image_format"),
    "text": (data_url(b"hello"), "unsupported_image_format"),
    "too wide": (data_url(a_plain(402, 2, "PNG")), "unsupported_image_dimensions"),
    "too many pixels": (data_url(a_plain(1001, 1000, "PNG")), "image_too_many_pixels"),
    "too large": (data_url(a_plain(9, 9, "PNG") + bytes(200_000)), "image_too_large"),
}


async def test_each_refused_image_is_named_by_its_code_and_path_and_nothing_goes_upstream() -> None:
    async with loopback_server(answers()) as upstream:
        small = {"max_image_bytes": 200_000, "max_pixels": 1_000_000}
        async with running_gateway(upstream_url=upstream.v1, **small) as gateway:
            seen = {}
            for name, (url, _) in REFUSED.items():
                response = await gateway.chat(chat_request(image_part(url)))
                error = response.json()["error"]
                seen[name] = (response.status_code, error["code"], error["param"])

            assert seen == {name: (400, code, PART) for name, (_, code) in REFUSED.items()}
            assert not upstream.received


async def test_one_bad_image_among_good_ones_is_the_one_that_is_named() -> None:
    good, heic = data_url(a_plain(9, 9, "PNG")), REFUSED["heic"][0]
    async with running_gateway() as gateway:
        response = await gateway.chat(
            chat_request(text("look"), image_part(good), {"type": "input_image", "image_url": heic}, image_part(good))
        )

        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("unsupported_image_format", "messages[0].content[2].image_url")
        assert "HEIC" in error["message"]


async def test_sixteen_images_are_answered_and_seventeen_refused() -> None:
    part = image_part(data_url(a_plain(28, 28, "PNG")))
    nine, eight = ({"role": "user", "content": [part] * count} for count in (9, 8))
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        sixteen = await gateway.chat({"model": "m", "messages": [eight, eight]})
        seventeen = await gateway.chat({"model": "m", "messages": [nine, eight]})

        assert sixteen.headers["x-image-tokens"] == ",".join(["4"] * 16)
        assert seventeen.status_code == 400
        assert seventeen.json()["error"]["code"] == "too_many_images"
        assert seventeen.json()["error"]["param"] == "messages[1].content[7].image_url.url"
        assert len(upstream.received) == 1


async def test_an_image_of_15_mib_is_taken_and_one_byte_more_refused() -> None:
    image = a_plain(64, 64, "PNG")
    full = image + bytes(15 * MEBIBYTE - len(image))
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        taken = await gateway.chat(chat_request(image_part(data_url(full))))
        refused = await gateway.chat(chat_request(image_part(data_url(full + b"\0"))))

        assert taken.status_code == 200
        assert len(upstream.received[0].body) < 10_000
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "image_too_large")


async def in_pieces(body: bytes):
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_at_the_limit_is_taken_and_one_byte_more_refused(chunked: bool) -> None:
    limit = 300_000
    async with (
        loopback_server(answers()) as upstream,
        running_gateway(upstream_url=upstream.v1, max_body_bytes=limit) as gateway,
    ):
        start = json.dumps(chat_request("hi"))[:-1].encode()
        for size, status in ((limit, 200), (limit + 1, 413)):
            body = start + b" " * (size - len(start) - 1) + b"}"

            response = await gateway.client.post("/v1/chat/completions", content=in_pieces(body) if chunked else body)

            assert response.status_code == status
        assert response.json()["error"]["code"] == "request_too_large"
        assert len(upstream.received) == 1


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_of_36_mib_is_answered_with_413_while_it_is_still_being_sent(chunked: bool) -> None:
    body = bytes(36 * MEBIBYTE)
    async with running_gateway() as gateway:
        response = await gateway.client.post("/v1/chat/completions", content=in_pieces(body) if chunked else body)

        assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")
        assert (await gateway.chat(chat_request("still there?"))).status_code == 200


async def test_the_demo_model_sees_the_prepared_image() -> None:
    async with running_gateway() as gateway:
        response = await gateway.chat(chat_request(image_part(data_url(a_photo(1600, 800, "JPEG")))))

        assert "JPEG of 1280 x 640 pixels" in response.json()["choices"][0]["message"]["content"]


async def test_no_error_quotes_the_image_or_the_key() -> None:
    url = data_url(b"SECRETIMAGE" * 50)
    async with running_gateway() as gateway:
        response = await gateway.chat(chat_request(image_part(url)))

        assert response.status_code == 400
        assert "SECRET" not in response.text
        assert url[40:60] not in response.text
        assert gateway.key not in response.text


async def test_the_log_tells_sizes_and_formats_and_nothing_of_the_content(caplog: pytest.LogCaptureFixture) -> None:
    image = data_url(a_photo(90, 60, "PNG"))
    async with running_gateway() as gateway:
        await gateway.chat(chat_request(text("a private question"), image_part(image)))
        await gateway.chat(chat_request(text("a private question"), image_part("https://127.0.0.1/private?sig=1")))
        key = gateway.key

    (handler,) = logging.getLogger("obscura").handlers
    written = [handler.format(record) for record in caplog.records if record.name == "obscura"]
    lines = [json.loads(line) for line in written]
    assert [line["status"] for line in lines] == [200, 400]
    assert lines[0]["formats"] == ["PNG"]
    assert lines[0]["pixels_before"] == ["90x60"]
    for private in ("private", "sig=", image[30:60], key, "127.0.0.1"):
        assert private not in str(written)
