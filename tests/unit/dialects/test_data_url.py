"""Data URLs: strict base64 only, with any JSON escapes for the same characters."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.dialects.data_url import base64_of, decode_base64, encode_data_url, is_data_url
from obscura.errors import ImageTooLarge, InvalidImage, InvalidImageUrl

IMAGE = bytes(range(256)) + b"\xfb\xff\xbf\xfe"
ENCODED = base64.b64encode(IMAGE)
ENOUGH = 1024


def decode_data_url(source: memoryview, max_bytes: int) -> bytes:
    return decode_base64(base64_of(source), max_bytes)


def decoded(url: bytes, max_bytes: int = ENOUGH) -> bytes:
    return decode_data_url(memoryview(url), max_bytes)


@given(st.binary(max_size=400), st.sampled_from(["image/png", "image/jpeg", "text/plain"]))
def test_an_encoded_image_decodes_to_the_same_bytes(image: bytes, media_type: str) -> None:
    url = encode_data_url(image, media_type)

    assert decoded(url) == image
    assert url.startswith(f"data:{media_type};base64,".encode())


@pytest.mark.parametrize(
    "header",
    [
        b"data:image/png;base64,",
        b"DATA:image/png;base64,",
        b"Data:IMAGE/PNG;BASE64,",
        b"data:;base64,",
        b"data:image/jpeg;base64,",
        b"data:text/html;base64,",
        b"data:image/png;charset=utf-8;name=a.png;base64,",
        b"data:image\\/png;base64,",
    ],
)
def test_the_headers_case_and_its_media_type_do_not_matter(header: bytes) -> None:
    assert is_data_url(memoryview(header))
    assert decoded(header + ENCODED) == IMAGE


@pytest.mark.parametrize("text", [b"", b"data", b"dat:", b"https://a/b", b" data:", b"file_1", b"xdata:image/png"])
def test_another_scheme_is_no_data_url(text: bytes) -> None:
    assert not is_data_url(memoryview(text))


@pytest.mark.parametrize(
    "url",
    [
        b"data:",
        b"data:image/png",
        b"data:image/png,",
        b"data:image/png," + ENCODED,
        b"data:image/png;base64" + ENCODED,
        b"data:image/png;base64;" + ENCODED,
        b"data:image/png;base6," + ENCODED,
        b"data:image/png;base64=1," + ENCODED,
        b"data:image/svg+xml;utf8,<svg/>",
        b"data:image/png;" + b"x" * 300 + b";base64," + ENCODED,
    ],
    ids=lambda url: url[:30].decode(),
)
def test_a_data_url_that_is_not_base64_is_an_invalid_url(url: bytes) -> None:
    with pytest.raises(InvalidImageUrl, match="base64"):
        decoded(url)


@pytest.mark.parametrize(
    ("escaped", "character"),
    [
        (rb"\/", b"/"),
        (rb"\u002f", b"/"),
        (rb"\u002F", b"/"),
        (rb"\u002b", b"+"),
        (rb"\u002B", b"+"),
        (rb"\u003d", b"="),
        (rb"\u003D", b"="),
    ],
)
def test_escapes_that_json_writers_put_into_base64_are_resolved(escaped: bytes, character: bytes) -> None:
    assert character in ENCODED

    assert decoded(b"data:image/png;base64," + ENCODED.replace(character, escaped)) == IMAGE


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"AAAA\nAAAA", "whitespace"),
        (rb"AAAA\nAAAA", "whitespace or escapes"),
        (rb"AAAA\r\nAAAA", "whitespace or escapes"),
        (b"AAAA AAAA", "whitespace"),
        (b" AAAA", "whitespace"),
        (b"AAAA ", "whitespace"),
        (b"AAAA\t", "whitespace"),
        (b"-AAA", "URL-safe"),
        (b"AA_A", "URL-safe"),
        (b"QQ", "padded"),
        (b"QQ=", "padded"),
        (b"QQ===", "padded"),
        (b"Q===", "padded"),
        (b"QQ==QQ==", "padded"),
        (b"Q=Q=", "padded"),
        (b"====", "padded"),
        (b"A", "padded"),
        (b"AAAAA", "padded"),
        (b"AAAA=", "padded"),
        (b"AAAA====", "padded"),
        (b"AA*A", "alphabet"),
        (b"AA%2BA", "alphabet"),
        (b"AAA\xff", "alphabet"),
        ("\uff21\uff21\uff21\uff21".encode(), "alphabet"),
        (b"AAAA,AAAA", "alphabet"),
        (b"AA\x00A", "alphabet"),
        (b"<svg/>", "alphabet"),
    ],
)
def test_anything_but_standard_base64_is_an_invalid_image(encoded: bytes, reason: str) -> None:
    with pytest.raises(InvalidImage, match=reason) as caught:
        decoded(b"data:image/png;base64," + encoded)

    assert encoded.decode(errors="replace") not in caught.value.message


def test_an_empty_image_decodes_to_nothing() -> None:
    assert decoded(b"data:image/png;base64,") == b""


def test_an_image_of_the_limit_is_accepted_and_one_more_byte_rejected() -> None:
    url = encode_data_url(bytes(1000), "image/png")

    assert len(decoded(url, 1000)) == 1000
    with pytest.raises(ImageTooLarge, match="999"):
        decoded(url, 999)


def test_the_limit_holds_for_an_image_with_escapes() -> None:
    url = b"data:image/png;base64," + rb"\/" * 1336

    assert len(decoded(url, 1002)) == 1002
    with pytest.raises(ImageTooLarge):
        decoded(url, 1001)
