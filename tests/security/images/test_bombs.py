"""Files made to exhaust time or memory: each is refused or prepared within two seconds and 300 MB."""

from collections.abc import Callable

import pytest
from PIL import Image

from tests.security.images import bombs
from tests.security.images.measured import Measured, prepared_in_a_child
from tests.unit.imaging.images import png_chunk, saved

MOST_S, MOST_MB = 2.0, 300.0


def within_bounds(data: bytes) -> Measured:
    assert len(data) <= bombs.RAW_LIMIT
    measured = prepared_in_a_child(data)
    assert measured.took_s < MOST_S
    assert measured.peak_mb < MOST_MB
    return measured


def test_the_png_that_pillow_lets_through_is_refused() -> None:
    measured = within_bounds(bombs.a_png_of_169_megapixels())

    assert measured.code == "image_too_many_pixels"
    assert measured.took_s < 0.1


@pytest.mark.parametrize("name", bombs.headers_of_200_megapixels())
def test_a_header_of_200_megapixels_is_refused(name: str) -> None:
    measured = within_bounds(bombs.headers_of_200_megapixels()[name])

    assert measured.code == "image_too_many_pixels"


def test_a_gif_of_ten_thousand_frames_becomes_its_first_one() -> None:
    measured = within_bounds(bombs.a_gif_of_frames(10_000))

    assert measured.code is None
    assert (measured.width_px, measured.height_px) == (1000, 1000)


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    measured = within_bounds(bombs.a_jpeg_of_scans(5000))

    assert measured.code == "invalid_image"


def test_a_jpeg_of_as_many_scans_as_are_let_through_is_quick() -> None:
    measured = within_bounds(bombs.a_jpeg_of_scans(90))

    assert measured.code is None


def test_many_scans_of_a_large_jpeg_are_too_many_sooner() -> None:
    measured = prepared_in_a_child(bombs.a_jpeg_of_scans(30, 8000, 8000))

    assert measured.code == "invalid_image"
    assert measured.took_s < MOST_S


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_compressed_metadata_is_never_inflated(kind: bytes) -> None:
    measured = within_bounds(bombs.a_png_of_inflating_metadata(kind))

    assert measured.code is None
    assert measured.peak_mb < 120


@pytest.mark.parametrize(
    "build",
    [
        bombs.a_png_of_tiny_chunks,
        bombs.a_gif_of_tiny_blocks,
        bombs.a_jpeg_of_tiny_segments,
        bombs.a_webp_of_tiny_chunks,
    ],
)
def test_millions_of_tiny_blocks_are_refused(build: Callable[[], bytes]) -> None:
    measured = within_bounds(build())

    assert measured.code == "invalid_image"


def test_megabytes_of_fill_bytes_are_harmless() -> None:
    measured = within_bounds(bombs.a_jpeg_of_fill_bytes())

    assert measured.code is None


def test_pixels_that_inflate_past_their_image_are_not_inflated() -> None:
    png = saved(Image.new("RGB", (16, 16)), "PNG")
    at = png.index(b"IDAT") - 4
    flood = bombs.a_png_of_169_megapixels()
    begin = flood.index(b"IDAT") - 4
    measured = within_bounds(png[:at] + flood[begin:-12] + png_chunk(b"IEND", b""))

    assert measured.peak_mb < 120
