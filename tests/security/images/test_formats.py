"""HEIC, TIFF and BMP made to crash, hang or exhaust: within 3 s of CPU and 300 MB, and never another exception."""

from collections.abc import Callable

import pytest

from tests.security.images import format_bombs
from tests.security.images.bombs import RAW_LIMIT
from tests.security.images.damaged import MUTATIONS, damaged_in_a_child
from tests.security.images.measured import Measured, prepared_in_a_child
from tests.unit.imaging.avif_files import IROT, box, full_box
from tests.unit.imaging.heic_files import a_grid_of_quarters, a_heic, auxiliary, coded, stored
from tests.unit.imaging.images import ORIENTATION, photograph_pixels, saved
from tests.unit.imaging.test_bmp import DEPTHS
from tests.unit.imaging.tiff_files import a_tiff, deflated, tags_of

MAX_S, MAX_MB = 3.0, 300.0
IMAGE = photograph_pixels(90, 60)


def with_alpha() -> bytes:
    return a_heic(coded(1, "quarters", box(IROT, b"\1")), auxiliary(2, 1, "grey_gradient"))


FILES: dict[str, Callable[[], bytes]] = {
    "heic": lambda: stored("quarters"),
    "heic of 10 bits": lambda: stored("quarters_10_bit"),
    "heic with alpha": with_alpha,
    "heic grid": a_grid_of_quarters,
    "tiff": lambda: saved(IMAGE, "TIFF"),
    "tiff in LZW": lambda: saved(IMAGE, "TIFF", compression="tiff_lzw", tiffinfo={ORIENTATION: 6, 317: 2, 278: 9}),
    "tiff in deflate": lambda: saved(IMAGE.convert("RGBA"), "TIFF", compression="tiff_adobe_deflate"),
    "tiff in packbits": lambda: saved(IMAGE.quantize(16), "TIFF", compression="packbits"),
    "tiff in tiles": lambda: a_tiff(
        tags_of(60, 40) | {322: (3, (32,)), 323: (3, (32,)), 259: (3, (8,))},
        deflated(*[bytes(range(256)) * 12] * 4),
        places=(324, 325),
    ),
    "bmp": lambda: saved(IMAGE, "BMP"),
    "bmp with a palette": lambda: saved(IMAGE.quantize(200), "BMP"),
    "bmp with masks": DEPTHS["version of 124 bytes"],
    "bmp in run lengths": DEPTHS["run lengths of 8 bits"],
}


@pytest.mark.parametrize("name", FILES)
def test_cut_or_damaged_it_is_an_image_or_an_image_error(name: str) -> None:
    outcome = damaged_in_a_child(FILES[name]())

    assert outcome.prepared + outcome.rejected >= MUTATIONS
    assert outcome.prepared > 0
    assert outcome.rejected > MUTATIONS // 20
    assert outcome.slowest_s < MAX_S
    assert outcome.peak_mb < MAX_MB


def within_bounds(data: bytes) -> Measured:
    assert len(data) <= RAW_LIMIT
    measured = prepared_in_a_child(data)
    assert measured.cpu_s < MAX_S
    assert measured.peak_mb < MAX_MB
    return measured


@pytest.mark.parametrize(
    "build",
    [
        format_bombs.a_heic_of_one_cell_often,
        format_bombs.a_heic_of_references,
        format_bombs.a_heic_of_boxes,
        format_bombs.a_heic_of_units,
        format_bombs.a_tiff_of_one_strip_often,
        lambda: format_bombs.a_heic_of_cells(25, 25),
        lambda: stored("quarters")[:24] + bytes(10_000_000),
        lambda: b"II*\0\x08\0\0\0\xff\xff" + bytes(14_000_000),
    ],
    ids=["one cell", "references", "boxes", "units", "one strip", "cells", "zeros", "entries"],
)
def test_what_would_be_multiplied_is_invalid_at_once(build: Callable[[], bytes]) -> None:
    measured = within_bounds(build())

    assert measured.code == "invalid_image"
    assert measured.peak_mb < 120


def test_a_heic_of_as_many_cells_as_are_allowed_is_an_image() -> None:
    assert within_bounds(format_bombs.a_heic_of_cells(20, 30)).code is None


@pytest.mark.parametrize("name", format_bombs.heics_at_the_limits())
def test_a_heic_at_the_limits_stays_within_bounds(name: str) -> None:
    assert within_bounds(format_bombs.heics_at_the_limits()[name]).code is None


def test_large_boxes_of_a_heic_are_not_copied() -> None:
    data = a_heic(coded(1, "quarters"), more=full_box(b"xxxx", bytes(14_000_000)))

    measured = within_bounds(data)

    assert measured.code is None
    assert measured.peak_mb < 120


TIFFS: dict[str, Callable[[], bytes]] = {
    "8 bits": lambda: format_bombs.a_tiff_of_zeros(6000, rows=4000),
    "alpha": lambda: format_bombs.a_tiff_of_zeros(6000, samples=4, rows=3000),
    "16 bits and alpha": lambda: format_bombs.a_tiff_of_zeros(6000, samples=4, bits=16, rows=1500),
    "16 bits of grey": lambda: format_bombs.a_tiff_of_zeros(6000, samples=1, bits=16, rows=6000, photometric=1),
    "CMYK": lambda: format_bombs.a_tiff_of_zeros(6000, samples=4, bits=16, rows=1500, photometric=5),
    "tiny strips": format_bombs.a_tiff_of_tiny_strips,
}


@pytest.mark.parametrize("name", TIFFS)
def test_the_most_expensive_tiffs_stay_within_bounds(name: str) -> None:
    assert within_bounds(TIFFS[name]()).code is None


def test_a_tiff_past_its_pixels_is_not_inflated() -> None:
    measured = within_bounds(format_bombs.a_tiff_of_zeros(6001, rows=6001))

    assert measured.code == "image_too_many_pixels"
    assert measured.peak_mb < 60


@pytest.mark.parametrize("command", [b"\1\2", b"\xff\2", b"\0\0", b"\0\2\0\1", b"\0\2\xff\xff", b"\0\4\1\2\3\4"])
def test_run_lengths_of_a_bmp_are_decoded_in_time(command: bytes) -> None:
    assert within_bounds(format_bombs.a_bmp_of_runs(command)).code in {None, "invalid_image"}


def test_a_bmp_of_one_bit_stays_within_bounds() -> None:
    assert within_bounds(format_bombs.a_bmp_of_63_megapixels()).code is None
