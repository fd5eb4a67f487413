"""Files made to exhaust time or memory: each is rejected or prepared within two seconds of CPU and 300 MB."""

from collections.abc import Callable

import pytest
from PIL import Image

from tests.security.images import avif_bombs, bombs
from tests.security.images.measured import Measured, prepared_in_a_child
from tests.unit.imaging.images import png_chunk, saved

MAX_CPU_S, MAX_MB = 2.0, 300.0


def within_bounds(data: bytes) -> Measured:
    assert len(data) <= bombs.RAW_LIMIT
    measured = prepared_in_a_child(data)
    assert measured.cpu_s < MAX_CPU_S
    assert measured.peak_mb < MAX_MB
    return measured


def test_a_png_that_pillow_itself_would_decode_has_too_many_pixels() -> None:
    measured = within_bounds(bombs.a_png_of_169_megapixels())

    assert measured.code == "image_too_many_pixels"
    assert measured.cpu_s < 0.1


@pytest.mark.parametrize("name", bombs.headers_of_200_megapixels())
def test_a_header_of_200_megapixels_has_too_many_pixels(name: str) -> None:
    measured = within_bounds(bombs.headers_of_200_megapixels()[name])

    assert measured.code == "image_too_many_pixels"


def test_a_gif_of_ten_thousand_frames_becomes_its_first_one() -> None:
    measured = within_bounds(bombs.a_gif_of_frames(10_000))

    assert measured.code is None
    assert (measured.width_px, measured.height_px) == (1000, 1000)


def test_a_jpeg_of_thousands_of_scans_is_invalid() -> None:
    measured = within_bounds(bombs.a_jpeg_of_scans(5000))

    assert measured.code == "invalid_image"


def test_a_jpeg_of_the_most_scans_allowed_is_quick() -> None:
    measured = within_bounds(bombs.a_jpeg_of_scans(90))

    assert measured.code is None


def test_many_scans_of_a_large_jpeg_are_too_many_sooner() -> None:
    measured = prepared_in_a_child(bombs.a_jpeg_of_scans(30, 8000, 8000))

    assert measured.code == "invalid_image"
    assert measured.cpu_s < MAX_CPU_S


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
def test_millions_of_tiny_blocks_are_invalid(build: Callable[[], bytes]) -> None:
    measured = within_bounds(build())

    assert measured.code == "invalid_image"


def test_an_avif_whose_cells_each_need_a_decoder_stays_within_bounds() -> None:
    measured = within_bounds(avif_bombs.a_grid_of_decoders())

    assert measured.code is None


def test_exif_entries_of_an_avif_are_never_copied() -> None:
    measured = within_bounds(avif_bombs.an_exif_of_overlapping_entries())

    assert measured.code is None
    assert measured.peak_mb < 120


def test_a_legal_table_of_an_avif_is_searched_in_little_time() -> None:
    measured = within_bounds(avif_bombs.references_to_as_many_items(65_000))

    assert measured.code is None


@pytest.mark.parametrize(
    "build",
    [
        lambda: avif_bombs.references_to_as_many_items(1_000_000),
        lambda: avif_bombs.properties_copied_to_each_item(60_000, 200),
        avif_bombs.a_sequence_of_a_million_samples,
    ],
    ids=["references", "properties", "samples"],
)
def test_tables_that_an_avif_decoder_would_multiply_are_invalid(build: Callable[[], bytes]) -> None:
    measured = within_bounds(build())

    assert measured.code == "invalid_image"
    assert measured.cpu_s < 0.2


@pytest.mark.parametrize("name", avif_bombs.more_pixels_than_declared())
def test_an_av1_bitstream_larger_than_its_avif_is_not_decoded(name: str) -> None:
    measured = within_bounds(avif_bombs.more_pixels_than_declared()[name])

    assert measured.code == "invalid_image"
    assert measured.cpu_s < 0.2
    assert measured.peak_mb < 60


def test_the_most_expensive_avif_at_the_pixel_cap_costs_no_more_than_a_webp() -> None:
    measured = prepared_in_a_child(avif_bombs.an_avif_at_the_cap())

    assert measured.code is None
    assert measured.peak_mb < 410


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
