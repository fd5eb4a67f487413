"""Images that are rejected: each by its code and path, and bodies and images at their limits."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.fake_upstream import answers
from tests.support.gateway import chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import loopback_server
from tests.unit.imaging.heic_files import stored
from tests.unit.imaging.images import (
    a_photograph,
    a_plain,
    four_corners,
    saved,
)

MEBIBYTE = 1024 * 1024
PART = "messages[0].content[0].image_url.url"


BAD_IMAGES = {
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
    "truncated png": (data_url(a_photograph(90, 60, "PNG")[:-200]), "invalid_image"),
    "truncated jpeg": (data_url(a_photograph(90, 60, "JPEG")[:-200]), "invalid_image"),
    "damaged png": (data_url(a_photograph(90, 60, "PNG").replace(b"IDAT", b"IDAT\0", 1)), "invalid_image"),
    "truncated heic": (data_url(stored("quarters")[:-50], "image/heic"), "invalid_image"),
    "sequence alone": (data_url(b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc\0\0\0\x08moov"), "unsupported_image_format"),
    "jpeg xl": (data_url(b"\xff\x0a" + bytes(99), "image/jxl"), "unsupported_image_format"),
    "svg": (data_url(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"), "unsupported_image_format"),
    "truncated bmp": (data_url(saved(four_corners(9, 9), "BMP")[:-9], "image/png"), "invalid_image"),
    "tiff in jpeg": (data_url(saved(four_corners(9, 9), "TIFF", compression="jpeg")), "unsupported_image_format"),
    "text": (data_url(b"hello"), "unsupported_image_format"),
    "too wide": (data_url(a_plain(402, 2, "PNG")), "unsupported_image_dimensions"),
    "too many pixels": (data_url(a_plain(1001, 1000, "PNG")), "image_too_many_pixels"),
    "too large": (data_url(a_plain(9, 9, "PNG") + bytes(200_000)), "image_too_large"),
}


async def test_each_bad_image_has_its_code_and_path_and_is_not_sent_upstream() -> None:
    async with loopback_server(answers()) as upstream:
        small: dict[str, Any] = {"max_image_bytes": 200_000, "max_pixels": 1_000_000}
        async with running_gateway(upstream_url=upstream.v1, **small) as gateway:
            seen = {}
            for name, (url, _) in BAD_IMAGES.items():
                response = await gateway.chat(chat_request(image_part(url)))
                error = response.json()["error"]
                seen[name] = (response.status_code, error["code"], error["param"])

            assert seen == {name: (400, code, PART) for name, (_, code) in BAD_IMAGES.items()}
            assert not upstream.received


async def test_the_one_bad_image_among_good_ones_is_named() -> None:
    good, jpeg_xl = data_url(a_plain(9, 9, "PNG")), BAD_IMAGES["jpeg xl"][0]
    async with running_gateway() as gateway:
        response = await gateway.chat(
            chat_request(
                text("look"), image_part(good), {"type": "input_image", "image_url": jpeg_xl}, image_part(good)
            )
        )

        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("unsupported_image_format", "messages[0].content[2].image_url")
        assert "JPEG XL" in error["message"]


async def test_as_many_images_as_set_are_allowed_and_one_more_too_many() -> None:
    part = image_part(data_url(a_plain(28, 28, "PNG")))
    nine, eight = ({"role": "user", "content": [part] * count} for count in (9, 8))
    async with (
        loopback_server(answers()) as upstream,
        running_gateway(upstream_url=upstream.v1, max_images=16) as gateway,
    ):
        sixteen = await gateway.chat({"model": "m", "messages": [eight, eight]})
        seventeen = await gateway.chat({"model": "m", "messages": [nine, eight]})

        assert sixteen.headers["x-image-tokens"] == ",".join(["4"] * 16)
        assert seventeen.status_code == 400
        assert seventeen.json()["error"]["code"] == "too_many_images"
        assert seventeen.json()["error"]["param"] == "messages[1].content[7].image_url.url"
        assert len(upstream.received) == 1


async def test_an_image_of_15_mib_is_allowed_and_one_byte_more_too_large() -> None:
    image = a_plain(64, 64, "PNG")
    full = image + bytes(15 * MEBIBYTE - len(image))
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        allowed = await gateway.chat(chat_request(image_part(data_url(full))))
        too_large = await gateway.chat(chat_request(image_part(data_url(full + b"\0"))))

        assert allowed.status_code == 200
        assert len(upstream.received[0].body) < 10_000
        assert (too_large.status_code, too_large.json()["error"]["code"]) == (400, "image_too_large")


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_at_the_limit_is_allowed_and_one_byte_more_too_large(chunked: bool) -> None:
    limit = 300_000
    async with (
        loopback_server(answers()) as upstream,
        running_gateway(upstream_url=upstream.v1, max_body_bytes=limit) as gateway,
    ):
        start = json.dumps(chat_request("hi"))[:-1].encode()
        responses = []
        for size in (limit, limit + 1):
            body = start + b" " * (size - len(start) - 1) + b"}"

            responses.append(
                await gateway.client.post("/v1/chat/completions", content=in_pieces(body) if chunked else body)
            )

        assert [response.status_code for response in responses] == [200, 413]
        assert responses[1].json()["error"]["code"] == "request_too_large"
        assert len(upstream.received) == 1


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_of_36_mib_gets_413_while_it_is_still_being_sent(chunked: bool) -> None:
    body = bytes(36 * MEBIBYTE)
    async with running_gateway() as gateway:
        response = await gateway.client.post("/v1/chat/completions", content=in_pieces(body) if chunked else body)

        assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")
        assert (await gateway.chat(chat_request("still there?"))).status_code == 200


async def test_no_error_quotes_the_image_or_the_key() -> None:
    url = data_url(b"SECRETIMAGE" * 50)
    async with running_gateway() as gateway:
        response = await gateway.chat(chat_request(image_part(url)))

        assert response.status_code == 400
        assert "SECRET" not in response.text
        assert url[40:60] not in response.text
        assert gateway.key not in response.text
