"""Which files keep their own bytes, and as what the others come out."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from obscura.imaging import Detail, prepare
from tests.unit.imaging.images import (
    FORMATS,
    a_photograph,
    a_plain,
    exif,
    four_corners,
    opened,
    photograph_pixels,
    png_chunk,
    png_pixels,
    saved,
    with_jpeg_segment,
    with_png_chunk,
    with_png_pixels,
)


def a_png_with_text() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "the author")
    return saved(photograph_pixels(60, 40), "PNG", pnginfo=text)


A_SMALL_PNG = a_photograph(60, 40, "PNG")


def more_after_the_pixels(more: bytes) -> bytes:
    return with_png_pixels(A_SMALL_PNG, zlib.compress(png_pixels(A_SMALL_PNG) + more))


def an_interlaced_png() -> bytes:
    """One grey pixel: the first of Adam7's passes, the others being empty (PNG, third edition, §8)."""
    png = a_plain(1, 1, "PNG")
    header = bytearray(png[16:29])
    header[12] = 1
    return png[:8] + png_chunk(b"IHDR", bytes(header)) + png[33:]


def a_webp_that_denies_its_alpha() -> bytes:
    """A lossless WEBP with alpha values and ``alpha_is_used`` at 0 (RFC 9649 §3.4): some decoders use them anyway."""
    webp = bytearray(saved(Image.new("RGBA", (60, 40), (9, 9, 9, 99)), "WEBP", lossless=True, exact=True))
    assert webp[12:16] == b"VP8L"
    webp[24] &= ~0x10
    return bytes(webp)


UNCHANGED: dict[str, Callable[[], bytes]] = {
    "png": lambda: a_photograph(600, 400, "PNG"),
    "grey png": lambda: a_photograph(600, 400, "PNG", mode="L"),
    "png with resolution and the gamma of sRGB": lambda: with_png_chunk(
        a_photograph(60, 40, "PNG", dpi=(72, 72)), b"gAMA", struct.pack(">I", 45455)
    ),
    "lossy webp": lambda: a_photograph(600, 400, "WEBP"),
    "lossless webp": lambda: a_photograph(600, 400, "WEBP", lossless=True),
    "exactly within size": lambda: a_photograph(1280, 200, "PNG"),
}

ENCODED_AGAIN: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: a_photograph(600, 400, "JPEG"),
    "progressive jpeg": lambda: a_photograph(600, 400, "JPEG", progressive=True),
    "grey jpeg": lambda: a_photograph(600, 400, "JPEG", mode="L"),
    "jpeg with an Adobe marker": lambda: with_jpeg_segment(
        a_photograph(60, 40, "JPEG"), 0xEE, b"Adobe\0\x64\0\0\0\0\x01"
    ),
    "jpeg with exif": lambda: a_photograph(60, 40, "JPEG", exif=exif(1)),
    "jpeg with a profile": lambda: a_photograph(60, 40, "JPEG", icc_profile=b"profile"),
    "jpeg with a comment": lambda: a_photograph(60, 40, "JPEG", comment=b"hello"),
    "jpeg with a thumbnail": lambda: with_jpeg_segment(a_photograph(60, 40, "JPEG"), 0xE0, b"JFXX\0\x10thumbnail"),
    "jpeg in rgb": lambda: a_photograph(60, 40, "JPEG", keep_rgb=True),
    "jpeg with bytes between segments": lambda: a_photograph(60, 40, "JPEG").replace(b"\xff\xdb", b"xyz\xff\xdb", 1),
    "jpeg with bytes after the end": lambda: a_photograph(60, 40, "JPEG") + b"\0",
    "jpeg a pixel past the size": lambda: a_photograph(1281, 200, "JPEG"),
    "png with text": a_png_with_text,
    "png with another gamma": lambda: with_png_chunk(a_photograph(60, 40, "PNG"), b"gAMA", struct.pack(">I", 1000)),
    "png with a private chunk": lambda: with_png_chunk(a_photograph(60, 40, "PNG"), b"prVt", b"secret"),
    "png with a profile": lambda: a_photograph(60, 40, "PNG", icc_profile=b"profile"),
    "png with a transparent colour": lambda: a_photograph(60, 40, "PNG", transparency=(1, 2, 3)),
    "png with grey and alpha": lambda: a_photograph(60, 40, "PNG", mode="LA"),
    "png with a palette": lambda: saved(photograph_pixels(60, 40).quantize(16), "PNG"),
    "png with bytes after the end": lambda: a_photograph(60, 40, "PNG") + b"PK\x03\x04",
    "png that hides bytes after its last row": lambda: more_after_the_pixels(b"a secret"),
    "png that inflates to far more than it shows": lambda: more_after_the_pixels(bytes(30_000_000)),
    "png with a second stream after its pixels": lambda: with_png_pixels(
        A_SMALL_PNG, zlib.compress(png_pixels(A_SMALL_PNG)) + zlib.compress(b"a secret")
    ),
    "interlaced png": an_interlaced_png,
    "opaque rgba png": lambda: a_photograph(600, 400, "PNG", mode="RGBA"),
    "rgba png": lambda: saved(Image.new("RGBA", (60, 40), (9, 9, 9, 99)), "PNG"),
    "lossy webp with alpha": lambda: saved(Image.new("RGBA", (60, 40), (9, 9, 9, 99)), "WEBP"),
    "lossless webp with alpha": lambda: saved(Image.new("RGBA", (60, 40), (9, 9, 9, 99)), "WEBP", lossless=True),
    "lossless webp that denies its alpha": a_webp_that_denies_its_alpha,
    "webp with exif": lambda: a_photograph(60, 40, "WEBP", exif=exif(1)),
    "webp with a profile": lambda: a_photograph(60, 40, "WEBP", icc_profile=b"profile"),
    "webp with xmp": lambda: a_photograph(60, 40, "WEBP", xmp=b"<x/>"),
    "webp with bytes after the end": lambda: a_photograph(60, 40, "WEBP") + b"\0\0",
    "gif": lambda: a_photograph(60, 40, "GIF"),
    "avif": lambda: a_photograph(60, 40, "AVIF"),
}
ALLOWED_PNG_CHUNKS = {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize("name", UNCHANGED)
def test_a_canonical_upright_image_within_size_keeps_its_bytes(name: str) -> None:
    data = UNCHANGED[name]()

    prepared = prepare(data)

    assert prepared.unchanged
    assert prepared.data is data
    assert prepared.media_type == f"image/{prepared.source_format.lower()}"


@pytest.mark.parametrize("name", ENCODED_AGAIN)
def test_any_other_image_is_encoded_again_without_metadata(name: str) -> None:
    data = ENCODED_AGAIN[name]()

    prepared = prepare(data)

    assert not prepared.unchanged
    assert prepared.data != data
    again = prepare(prepared.data)
    assert again.unchanged == (prepared.media_type == "image/png")
    assert (again.width_px, again.height_px) == (prepared.width_px, prepared.height_px)
    assert opened(prepared.data).mode in {"L", "RGB"}
    assert opened(prepared.data).info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_photograph_becomes_a_jpeg() -> None:
    assert prepare(a_photograph(1500, 1000, "PNG")).media_type == "image/jpeg"
    assert prepare(a_photograph(1500, 1000, "WEBP")).media_type == "image/jpeg"
    assert prepare(a_photograph(1500, 1000, "AVIF")).media_type == "image/jpeg"


def test_a_grey_photograph_is_not_encoded_as_a_drawing() -> None:
    assert prepare(a_photograph(1500, 1000, "PNG", mode="L")).media_type == "image/jpeg"


@pytest.mark.parametrize(("subsampling", "kept"), [("4:4:4", (1, 1)), ("4:2:2", (1, 1)), ("4:2:0", (2, 2))])
def test_a_small_jpeg_keeps_the_resolution_of_its_chroma(subsampling: str, kept: tuple[int, int]) -> None:
    data = a_photograph(600, 400, "JPEG", subsampling=subsampling)

    assert luma_sampling(prepare(data).data) == kept


@pytest.mark.parametrize("options", [{"keep_rgb": True}, {"mode": "CMYK"}])
def test_a_small_jpeg_in_rgb_or_cmyk_keeps_the_resolution_of_its_colours(options: dict[str, Any]) -> None:
    assert luma_sampling(prepare(a_photograph(600, 400, "JPEG", **options)).data) == (1, 1)


def test_a_resized_jpeg_has_halved_chroma() -> None:
    assert luma_sampling(prepare(a_photograph(1500, 1000, "JPEG", subsampling="4:4:4")).data) == (2, 2)


def luma_sampling(jpeg: bytes) -> tuple[int, int]:
    factors = jpeg[jpeg.index(b"\xff\xc0") + 11]
    return factors >> 4, factors & 15


def test_a_drawing_of_few_colours_becomes_a_png() -> None:
    assert prepare(saved(four_corners(1500, 1000), "PNG")).media_type == "image/png"
    assert prepare(saved(four_corners(1500, 1000), "GIF")).media_type == "image/png"


def test_a_jpeg_stays_a_jpeg_even_of_one_colour() -> None:
    assert prepare(a_plain(1500, 1000, "JPEG")).media_type == "image/jpeg"


def test_a_grey_jpeg_stays_grey() -> None:
    assert opened(prepare(a_photograph(1500, 1000, "JPEG", mode="L")).data).mode == "L"


@pytest.mark.parametrize("detail", Detail)
def test_detail_decides_the_longest_side(detail: Detail) -> None:
    wide = prepare(a_photograph(2400, 600, "JPEG"), detail)
    tall = prepare(a_photograph(600, 2400, "JPEG"), detail)

    assert wide.width_px == tall.height_px == {"low": 768, "auto": 1280, "high": 2048}[detail]
    assert wide.height_px == tall.width_px == detail.longest_side_px // 4


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("detail", Detail)
def test_nothing_is_ever_enlarged(image_format: str, detail: Detail) -> None:
    prepared = prepare(a_photograph(31, 17, image_format), detail)

    assert (prepared.width_px, prepared.height_px) == (31, 17)


def test_a_jpeg_in_rgb_keeps_its_colours() -> None:
    data = saved(four_corners(80, 80), "JPEG", keep_rgb=True, quality=95)

    assert opened(prepare(data).data).getpixel((5, 5))[0] > 240


@settings(max_examples=60)
@given(
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    image_format=st.sampled_from(FORMATS),
    mode=st.sampled_from(["RGB", "L", "RGBA", "P", "1"]),
    orientation=st.integers(1, 8),
)
def test_a_prepared_image_may_be_prepared_again(
    width: int, height: int, image_format: str, mode: str, orientation: int
) -> None:
    longest = max(width, height)
    width, height = max(width, -(-longest // 200)), max(height, -(-longest // 200))
    if image_format == "JPEG" and mode in {"RGBA", "P", "1"}:
        mode = "RGB"
    options = {} if image_format == "GIF" else {"exif": exif(orientation)}
    data = saved(photograph_pixels(width, height).convert(mode), image_format, **options)

    first = prepare(data, Detail.LOW)
    second = prepare(first.data, Detail.LOW)

    assert second.unchanged == (first.media_type != "image/jpeg")
    assert (second.width_px, second.height_px) == (first.width_px, first.height_px)
    assert max(first.width_px, first.height_px) <= 768
    assert set(_png_chunks(first.data)) <= ALLOWED_PNG_CHUNKS or first.unchanged


@pytest.mark.parametrize("size", [(4000, 20), (20, 4000), (1301, 7), (200, 1)])
def test_the_longest_allowed_image_is_still_allowed_when_prepared(size: tuple[int, int]) -> None:
    first = prepare(a_plain(*size, "PNG"), Detail.LOW)

    assert prepare(first.data, Detail.LOW).unchanged


def _png_chunks(data: bytes) -> list[bytes]:
    if not data.startswith(b"\x89PNG"):
        return []
    kinds, position = [], 8
    while position < len(data):
        kinds.append(data[position + 4 : position + 8])
        position += 12 + int.from_bytes(data[position : position + 4])
    return kinds
