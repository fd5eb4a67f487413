"""BMP: every header and depth; sizes are proved against the file before the decoder sees it."""

import functools
import struct
from collections.abc import Callable

import pytest
from PIL import Image

from obscura.imaging import ImageError, prepare
from obscura.imaging.decode import decode
from obscura.imaging.formats.bmp import scan
from tests.unit.imaging.bmp_files import a_bmp, rows_of
from tests.unit.imaging.images import corners, four_corners, photograph_pixels, saved

UPRIGHT = ["red", "green", "blue", "white"]
PALETTE = bytes((0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0))
CORE_PALETTE = bytes((0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 255))
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
FOUR = [[RED, GREEN], [BLUE, WHITE]]


def decoded(data: bytes) -> Image.Image:
    return decode(data, scan(data))


def error_of(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as error:
        prepare(data)
    return error.value


def colours_of(image: Image.Image) -> list[list[object]]:
    rgb = image.convert("RGB")
    return [[rgb.getpixel((x, y)) for x in (0, 1)] for y in (0, 1)]


def masked(bits: int, masks: tuple[int, ...]) -> bytes:
    """Four pixels as these masks of red, green, blue and alpha store them, all channels full where they are on."""

    def stored(colour: tuple[int, ...]) -> bytes:
        value = sum(mask for mask, channel in zip(masks, (*colour, 255), strict=False) if channel)
        return value.to_bytes(bits // 8, "little")

    return rows_of(*(b"".join(map(stored, row)) for row in FOUR))


DEPTHS: dict[str, Callable[[], bytes]] = {
    "4 bits": lambda: a_bmp(2, 2, 4, rows_of(b"\x01", b"\x23"), palette=PALETTE, colours=4),
    "8 bits": lambda: a_bmp(2, 2, 8, rows_of(b"\0\1", b"\2\3"), palette=PALETTE, colours=4),
    "8 bits of OS/2": lambda: a_bmp(2, 2, 8, rows_of(b"\0\1", b"\2\3"), header=12, palette=CORE_PALETTE.ljust(768)),
    "8 bits of OS/2 with few colours": lambda: a_bmp(
        2, 2, 8, rows_of(b"\0\1", b"\2\3"), header=12, palette=CORE_PALETTE
    ),
    "24 bits of OS/2": lambda: a_bmp(2, 2, 24, masked(24, (0xFF0000, 0xFF00, 0xFF)), header=12),
    "8 bits of OS/2 2.x": lambda: a_bmp(2, 2, 8, rows_of(b"\0\1", b"\2\3"), header=64, palette=PALETTE, colours=4),
    "8 bits from the top": lambda: a_bmp(2, -2, 8, rows_of(b"\2\3", b"\0\1"), palette=PALETTE, colours=4),
    "16 bits": lambda: a_bmp(2, 2, 16, masked(16, (0x7C00, 0x3E0, 0x1F))),
    "16 bits by masks": lambda: a_bmp(
        2, 2, 16, masked(16, (0xF800, 0x7E0, 0x1F)), compression=3, masks=(0xF800, 0x7E0, 0x1F)
    ),
    "24 bits": lambda: a_bmp(2, 2, 24, masked(24, (0xFF0000, 0xFF00, 0xFF))),
    "32 bits": lambda: a_bmp(2, 2, 32, masked(32, (0xFF0000, 0xFF00, 0xFF))),
    "32 bits by masks": lambda: a_bmp(
        2, 2, 32, masked(32, (0xFF000000, 0xFF0000, 0xFF00)), compression=3, masks=(0xFF000000, 0xFF0000, 0xFF00)
    ),
    "32 bits by masks after the header": lambda: a_bmp(
        2, 2, 32, masked(32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)), compression=6,
        masks=(0xFF, 0xFF00, 0xFF0000, 0xFF000000),
    ),
    "run lengths of 8 bits": lambda: a_bmp(
        2, 2, 8, b"\1\2\1\3\0\0\1\0\1\1\0\1", compression=1, palette=PALETTE, colours=4, data_bytes=12
    ),
    "run lengths of 4 bits": lambda: a_bmp(
        2, 2, 4, b"\2\x23\0\0\2\x01\0\1", compression=2, palette=PALETTE, colours=4, data_bytes=8
    ),
}  # fmt: skip


for size in (52, 56, 108, 124):
    DEPTHS[f"version of {size} bytes"] = functools.partial(
        a_bmp,
        2,
        2,
        32,
        masked(32, (0xFF0000, 0xFF00, 0xFF)),
        header=size,
        compression=3,
        masks=(0xFF0000, 0xFF00, 0xFF),
    )


@pytest.mark.parametrize("name", DEPTHS)
def test_every_header_and_depth_is_decoded(name: str) -> None:
    assert colours_of(decoded(DEPTHS[name]())) == FOUR


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_what_pillow_writes_comes_out_as_it_was(mode: str) -> None:
    image = photograph_pixels(61, 43).quantize(200) if mode == "P" else photograph_pixels(61, 43).convert(mode)

    assert decoded(saved(image, "BMP")).convert("RGB").tobytes() == image.convert("RGB").tobytes()


def test_one_bit_has_the_colours_of_its_palette() -> None:
    image = decoded(a_bmp(2, 2, 1, rows_of(b"\x40", b"\x80"), palette=PALETTE[:8], colours=2))

    assert colours_of(image) == [[RED, GREEN], [GREEN, RED]]


BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def with_alpha(alpha: int, masks: tuple[int, ...], *, header: int, compression: int = 3) -> bytes:
    pixels = bytes((10, 20, 30, alpha)) * 4
    return a_bmp(2, 2, 32, pixels, masks=masks, header=header, compression=compression)


def test_alpha_counts_if_the_header_has_a_mask_for_it() -> None:
    stated = decoded(with_alpha(99, BGRA, header=124))
    not_stated = decoded(with_alpha(99, (), header=40, compression=0))
    without_mask = decoded(with_alpha(99, (*BGRA[:3], 0), header=124))

    assert (stated.mode, stated.getpixel((0, 0))) == ("RGBA", (30, 20, 10, 99))
    assert not_stated.mode == without_mask.mode == "RGB"


def test_alpha_that_is_zero_throughout_is_none() -> None:
    image = decoded(with_alpha(0, BGRA, header=124))

    assert image.getpixel((1, 1)) == (30, 20, 10, 255)


def test_an_index_past_the_palette_is_black() -> None:
    image = decoded(a_bmp(2, 2, 8, rows_of(b"\x09\1", b"\2\3"), palette=PALETTE, colours=4))

    assert image.convert("RGB").getpixel((0, 0)) == (0, 0, 0)


def with_profile(size: int) -> bytes:
    plain = bytearray(with_alpha(99, BGRA, header=124))
    plain[14 + 56 : 14 + 60] = b"DEBM"
    plain[14 + 112 : 14 + 120] = struct.pack("<II", len(plain) - 14, size)
    return bytes(plain) + b"a profile"


def test_the_icc_profile_is_found_and_a_damaged_one_is_none() -> None:
    assert scan(with_profile(9)).icc_profile == b"a profile"
    assert [scan(with_profile(size)).icc_profile for size in (0, 10, 2**32 - 1)] == [None] * 3
    assert scan(with_alpha(99, BGRA, header=124)).icc_profile is None


LAYOUTS = (
    (16, 0xF800, 0x7E0, 0x1F, 0),
    (16, 0x7C00, 0x3E0, 0x1F, 0),
    (32, 0xFF0000, 0xFF00, 0xFF, 0),
    (32, 0xFF000000, 0xFF0000, 0xFF00, 0),
    (32, 0xFF000000, 0xFF00, 0xFF, 0),
    (32, 0xFF000000, 0xFF0000, 0xFF00, 0xFF),
    (32, 0xFF, 0xFF00, 0xFF0000, 0xFF000000),
    (32, 0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    (32, 0xFF000000, 0xFF00, 0xFF, 0xFF0000),
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: " ".join(f"{each:x}" for each in layout))
def test_every_layout_of_masks_that_pillow_unpacks_is_taken(layout: tuple[int, ...]) -> None:
    bits, *masks = layout
    data = a_bmp(2, 2, bits, masked(bits, tuple(masks)), header=124, compression=3, masks=tuple(masks))

    assert colours_of(decoded(data)) == FOUR


def test_the_headers_that_are_handed_on_are_our_own() -> None:
    data = bytearray(a_bmp(2, -2, 24, masked(24, (0xFF0000, 0xFF00, 0xFF))))
    data[38:46] = struct.pack("<II", 2835, 2835)  # pixels per metre, which no decoder needs

    head, _ = scan(bytes(data)).image_spans

    file_header = struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54)
    assert head == file_header + struct.pack("<IiiHHIIiiII", 40, 2, -2, 1, 24, 0, 0, 0, 0, 0, 0)


def test_only_headers_palette_and_pixels_are_handed_on() -> None:
    data = saved(four_corners(60, 40), "BMP") + b"PK\x03\x04 something else"

    _, span = scan(data).image_spans

    assert span == (54, 54 + 60 * 3 * 40)
    assert corners(prepare(data).data) == UPRIGHT


@pytest.mark.parametrize(
    ("width", "height", "data_bytes", "limit"), [(2000, 2001, 12, 4_000_000), (2, 2, 1_000_001, 1_000_000)]
)
def test_run_lengths_have_limits_of_their_own(width: int, height: int, data_bytes: int, limit: int) -> None:
    data = a_bmp(width, height, 8, bytes(data_bytes), compression=1, palette=PALETTE, colours=4, data_bytes=data_bytes)

    error = error_of(data)

    assert (error.code, error.limit) == ("image_too_many_pixels", limit)


UNSUPPORTED: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: a_bmp(2, 2, 24, bytes(16), compression=4),
    "PNG": lambda: a_bmp(2, 2, 24, bytes(16), compression=5),
    "method 3": lambda: a_bmp(2, 2, 1, bytes(16), header=64, compression=3),
    "2 bits a pixel": lambda: a_bmp(2, 2, 2, bytes(16)),
    "64 bits a pixel": lambda: a_bmp(2, 2, 64, bytes(64)),
    "24 bits a pixel by method 1": lambda: a_bmp(2, 2, 24, bytes(16), compression=1),
    "layout of colour bits": lambda: a_bmp(2, 2, 32, bytes(16), compression=3, masks=(0x3FF, 0xFFC00, 0x3FF00000)),
}


@pytest.mark.parametrize("words", UNSUPPORTED)
def test_pixels_that_are_not_decoded_are_named_with_a_way_out(words: str) -> None:
    error = error_of(UNSUPPORTED[words]())

    assert error.code == "unsupported_image_format"
    assert words in error.message
    assert "convert it to PNG" in error.message


def changed(data: bytes, at: int, layout: str, value: int) -> bytes:
    """The file with another number at this place."""
    return data[:at] + struct.pack(layout, value) + data[at + struct.calcsize(layout) :]


PLAIN = saved(four_corners(60, 40), "BMP")
HOSTILE: dict[str, Callable[[], bytes]] = {
    "only a file header": lambda: PLAIN[:18],
    "a header of an unknown size": lambda: changed(PLAIN, 14, "<I", 41),
    "a header cut short": lambda: PLAIN[:40],
    "a width below zero": lambda: changed(PLAIN, 18, "<i", -60),
    "a width of zero": lambda: changed(PLAIN, 18, "<i", 0),
    "the lowest height": lambda: changed(PLAIN, 22, "<i", -(2**31)),
    "pixels before the palette": lambda: changed(PLAIN, 10, "<I", 20),
    "pixels past the end": lambda: changed(PLAIN, 10, "<I", 2**32 - 1),
    "a row that is missing": lambda: PLAIN[:-180],
    "a palette cut short": lambda: a_bmp(2, 2, 8, b"", palette=PALETTE, colours=256),
    "masks cut short": lambda: a_bmp(2, 2, 32, b"", compression=3),
    "run lengths from the top": lambda: a_bmp(2, -2, 8, bytes(12), compression=1, palette=PALETTE, colours=4),
    "run lengths cut short": lambda: a_bmp(2, 2, 8, b"\2\0", compression=1, palette=PALETTE, colours=4, data_bytes=12),
    "run lengths that never end": lambda: a_bmp(
        60, 40, 8, b"\2\0", compression=1, palette=PALETTE, colours=4, data_bytes=2
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bmp_is_invalid(name: str) -> None:
    assert error_of(HOSTILE[name]()).code in {"invalid_image", "image_too_many_pixels"}
