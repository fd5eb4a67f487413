"""AVIF: its boxes are checked before any decode, and every kind of image in it comes out upright and 8-bit."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from obscura.imaging import Detail, ImageError, ImageLimits, PreparedImage, prepare
from obscura.imaging.formats.avif import AVIF, scan
from tests.unit.imaging.avif_files import (
    IMIR,
    IROT,
    Item,
    alpha_of,
    an_avif,
    av1_of,
    box,
    coded,
    exif_item,
    frame_header,
    full_box,
    grid,
    ispe,
    sequence_header,
)
from tests.unit.imaging.images import an_animation, corners, exif, four_corners, opened, photograph_pixels, saved

DEEP_FILES = sorted((Path(__file__).parent / "avif").glob("*.avif"))
UPRIGHT = ["red", "green", "blue", "white"]
IMAGE = four_corners(128, 128)
CELLS = [IMAGE.crop((x, y, x + 64, y + 64)) for y in (0, 64) for x in (0, 64)]


def error_of(data: bytes, limits: ImageLimits | None = None) -> ImageError:
    with pytest.raises(ImageError) as error:
        prepare(data, Detail.AUTO, limits or ImageLimits())
    return error.value


def a_grid(*more: Item) -> bytes:
    cells = [coded(2 + index, cell) for index, cell in enumerate(CELLS)]
    return an_avif(grid(1, 2, 2, (128, 128), [cell.id for cell in cells]), *cells, *more)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_rotation_and_then_mirror_are_applied_once(turns: int, mirror: int | None) -> None:
    properties = [box(IROT, bytes([turns]))] + ([] if mirror is None else [box(IMIR, bytes([mirror]))])
    expected = IMAGE.rotate(90 * turns)
    if mirror is not None:
        flip = Image.Transpose.FLIP_LEFT_RIGHT if mirror else Image.Transpose.FLIP_TOP_BOTTOM
        expected = expected.transpose(flip)

    prepared = prepare(an_avif(coded(1, IMAGE, *properties)))

    assert corners(prepared.data) == corners(saved(expected, "PNG"))


@pytest.mark.parametrize("properties", [[], [box(IROT, b"\1")]], ids=["alone", "beside irot"])
def test_an_orientation_in_exif_is_ignored(properties: list[bytes]) -> None:
    item = coded(1, IMAGE, *properties)
    tiff = exif(6).tobytes().removeprefix(b"Exif\0\0")

    prepared = prepare(an_avif(item, exif_item(2, 1, tiff)))

    assert prepared.data == prepare(an_avif(item)).data


def test_exif_is_not_handed_to_the_decoder() -> None:
    data = an_avif(coded(1, IMAGE), exif_item(2, 1, b"not a TIFF header"))

    spans = scan(data).image_spans

    assert b"skip" in spans
    assert corners(prepare(data).data) == UPRIGHT


@pytest.mark.parametrize("path", DEEP_FILES, ids=[path.stem for path in DEEP_FILES])
def test_ten_and_twelve_bits_become_eight(path: Path) -> None:
    prepared = prepare(path.read_bytes())

    image = opened(prepared.data)
    assert (prepared.media_type, prepared.unchanged) == ("image/png", False)
    assert corners(prepared.data) == UPRIGHT
    assert image.getpixel((5, 5))[:3] == (255, 0, 0)
    assert image.mode == "RGB"


def test_there_are_files_of_every_depth() -> None:
    assert [path.stem for path in DEEP_FILES] == ["10_bit", "10_bit_alpha", "12_bit", "12_bit_alpha"]


def test_a_monochrome_avif_stays_grey() -> None:
    prepared = prepare(saved(photograph_pixels(300, 200).convert("L"), "AVIF"))

    assert opened(prepared.data).mode == "L"


def test_an_alpha_channel_is_flattened_and_an_opaque_one_dropped() -> None:
    transparent, opaque = Image.linear_gradient("L").resize(IMAGE.size), Image.new("L", IMAGE.size, 255)

    first, second = (prepare(an_avif(coded(1, IMAGE), alpha_of(2, 1, alpha))) for alpha in (transparent, opaque))

    assert min(opened(first.data).crop((0, 0, 128, 1)).getextrema())[0] >= 250  # quarters of pure colours under alpha 0
    assert corners(second.data) == UPRIGHT


def test_a_grid_is_one_image() -> None:
    prepared = prepare(a_grid())

    assert (prepared.width_px, prepared.height_px) == (128, 128)
    assert corners(prepared.data) == UPRIGHT


def test_a_grid_may_have_an_alpha_channel_for_each_cell() -> None:
    alpha = Image.new("L", (64, 64), 100)

    prepared = prepare(a_grid(*(alpha_of(6 + index, 2 + index, alpha) for index in range(4))))

    assert np.asarray(opened(prepared.data)).min() >= 153


def test_an_item_may_be_stored_in_several_extents() -> None:
    assert corners(prepare(an_avif(coded(1, IMAGE, extents=3))).data) == UPRIGHT


@pytest.mark.parametrize("brand", [b"avis", b"msf1"])
def test_of_an_image_sequence_the_first_frame_counts(brand: bytes) -> None:
    data = an_animation(40, 30, "AVIF").replace(b"ftypavis", b"ftyp" + brand, 1)

    prepared = prepare(data)

    assert (prepared.width_px, prepared.height_px) == (40, 30)
    assert corners(prepared.data) == ["red"] * 4


def test_an_avif_has_a_pixel_cap_of_its_own() -> None:
    error = error_of(an_avif(coded(1, IMAGE, size=(4001, 3500))))

    assert error.code == "image_too_many_pixels"
    assert error.limit == AVIF.max_pixels == 14_000_000
    assert "4001 x 3500" in error.message
    assert "AVIF" in error.message


@pytest.mark.parametrize("data", [a_grid(), an_avif(coded(1, IMAGE)), an_animation(40, 30, "AVIF")])
def test_an_avif_cut_at_any_byte_is_invalid(data: bytes) -> None:
    for cut in range(len(data) - 1, 12, -max(1, len(data) // 150)):
        error = error_of(data[:cut])

        assert error.code in {"invalid_image", "unsupported_image_format"}
        assert cut < 40 or (error.code == "invalid_image" and "AVIF" in error.message)


STREAM, CONFIG = av1_of(IMAGE)


def one(stream: bytes = STREAM, *properties: bytes, kind: bytes = b"av01") -> bytes:
    return an_avif(Item(1, kind, stream, [ispe(128, 128), CONFIG, *properties]))


def overlapping() -> bytes:
    """Thirty items that are all the same bytes, of which a decoder would make thirty copies."""
    data = one(STREAM + bytes(4000))
    at = data.index(b"iloc") - 4
    start = data.rindex(b"mdat") + 4
    places = b"".join(struct.pack(">HHHII", 1 + each, 0, 1, start, 4000) for each in range(30))
    table = full_box(b"iloc", b"\x44\0", struct.pack(">H", 30), places)
    old = data[at : at + int.from_bytes(data[at : at + 4])]
    meta = data.index(b"meta") - 4
    size = int.from_bytes(data[meta : meta + 4]) + len(table) - len(old)
    return data[:meta] + struct.pack(">I", size) + data[meta + 4 :].replace(old, table, 1)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "no primary item": lambda: an_avif(coded(1, IMAGE), primary=7),
    "primary item of another codec": lambda: one(kind=b"hvc1"),
    "item without a size": lambda: an_avif(Item(1, b"av01", STREAM, [CONFIG])),
    "item without bytes": lambda: one(b""),
    "side of zero": lambda: an_avif(coded(1, IMAGE, size=(0, 128))),
    "grid of another size": lambda: a_grid().replace(struct.pack(">BBHH", 1, 1, 128, 128), bytes([1, 1, 0, 99, 0, 99])),
    "grid without cells": lambda: an_avif(grid(1, 2, 2, (128, 128), [])),
    "frame before the sequence header": lambda: one(frame_header()),
    "unit past the end": lambda: one(STREAM[:-1]),
    "forbidden bit": lambda: one(b"\x92" + STREAM[1:]),
    "endless size": lambda: one(b"\x0a" + b"\xff" * 20),
    "thousands of units": lambda: one(STREAM + b"\x12\0" * 2000),
    "sequence header without end": lambda: one(b"\x0a\x01\0"),
    "only a sequence header": lambda: one(sequence_header(128, 128)),
    "second item table": lambda: an_avif(coded(1, IMAGE), more=full_box(b"iinf", b"\0\0")),
    "box larger than its parent": lambda: an_avif(coded(1, IMAGE), more=b"\0\0\xff\xfffree"),
    "box smaller than its header": lambda: an_avif(coded(1, IMAGE), more=b"\0\0\0\x04free"),
    "thousands of boxes": lambda: an_avif(coded(1, IMAGE), more=box(b"free") * 5000),
    "large table": lambda: an_avif(coded(1, IMAGE), more=box(b"grpl", bytes(70_000))),
    "extent past the end": lambda: one().replace(struct.pack(">I", len(STREAM)), b"\0\0\xff\xff", 1),
    "thousands of items": lambda: an_avif(coded(1, IMAGE), *(Item(2 + each, b"free", b"") for each in range(700))),
    "overlapping items": overlapping,
    "property that is not there": lambda: one().replace(b"\0\1\2\0\1\0\2", b"\0\1\2\0\1\0\x09", 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_avif_is_invalid(name: str) -> None:
    assert error_of(HOSTILE[name]()).code == "invalid_image"


@pytest.mark.parametrize("reduced", [True, False])
def test_a_bitstream_of_the_declared_size_passes_the_scan(reduced: bool) -> None:
    data = one(sequence_header(4000, 4000, reduced=reduced) + frame_header())

    assert scan(data).width_px == 128


FUZZED = [
    *(saved(IMAGE, "AVIF", exif=exif(6)), an_animation(40, 30, "AVIF"), a_grid()),
    an_avif(coded(1, IMAGE), alpha_of(2, 1, IMAGE.convert("L")), exif_item(3, 1, exif(3).tobytes()[6:])),
]


@settings(max_examples=400, deadline=None)
@given(
    data=st.sampled_from(FUZZED),
    damage=st.lists(st.tuples(st.integers(0, 1200), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
)
def test_a_damaged_avif_is_an_image_or_an_image_error(data: bytes, damage: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(data)
    for position, some in damage:
        at = position % len(data)
        damaged[at : at + len(some)] = some

    try:
        assert isinstance(prepare(damaged, Detail.LOW), PreparedImage)
    except ImageError as error:
        assert error.code != "image_too_large"
        assert error.message.isprintable()
