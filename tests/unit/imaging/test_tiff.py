"""TIFF: the tags of the first page are checked, and the decoder gets a file of those alone."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from obscura.imaging import ImageError, prepare
from obscura.imaging.container import ContainerInfo
from obscura.imaging.decode import decode
from obscura.imaging.formats.tiff import TIFF, scan
from tests.unit.imaging.images import an_animation, corners, four_corners, opened, photograph_pixels, saved
from tests.unit.imaging.tiff_files import a_tiff, deflated, directory, tags_of

UPRIGHT = ["red", "green", "blue", "white"]
IMAGE = four_corners(60, 40)
PIXELS = np.asarray(IMAGE)
NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 8, 32946, 32773


def error_of(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as error:
        prepare(data)
    return error.value


def decoded(data: bytes) -> tuple[Image.Image, ContainerInfo]:
    info = scan(data)
    return decode(data, info), info


def with_alpha() -> Image.Image:
    image = photograph_pixels(61, 43)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


MODES: dict[str, Callable[[], Image.Image]] = {
    "1": lambda: photograph_pixels(61, 43).convert("1"),
    "L": lambda: photograph_pixels(61, 43).convert("L"),
    "LA": lambda: with_alpha().convert("LA"),
    "P": lambda: photograph_pixels(61, 43).quantize(64),
    "RGB": lambda: photograph_pixels(61, 43),
    "RGBA": with_alpha,
    "CMYK": lambda: photograph_pixels(61, 43).convert("CMYK"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("rows", [None, 7])
def test_pixels_come_out_as_they_were_saved(mode: str, compression: str, rows: int | None) -> None:
    image = MODES[mode]()
    data = saved(image, "TIFF", compression=compression, tiffinfo={278: rows} if rows else {})

    result, _ = decoded(data)

    assert (result.mode, result.size) == (image.mode, image.size)
    assert result.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_the_horizontal_predictor_is_undone(compression: str) -> None:
    image = photograph_pixels(61, 43)

    result, _ = decoded(saved(image, "TIFF", compression=compression, tiffinfo={317: 2}))

    assert result.tobytes() == image.tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [NONE, DEFLATE])
@pytest.mark.parametrize("samples", [1, 3, 4])
def test_16_bits_in_both_byte_orders_become_8(order: str, compression: int, samples: int) -> None:
    image = photograph_pixels(60, 40).convert({1: "L", 3: "RGB", 4: "CMYK"}[samples])
    pixels = (np.asarray(image).astype(np.uint16) * 257).astype(f"{order}u2").tobytes()
    tags = tags_of(60, 40, bits=16, samples=samples, photometric={1: 1, 3: 2, 4: 5}[samples])
    strips = [pixels] if compression == NONE else deflated(pixels)

    prepared = prepare(a_tiff(tags | {259: (3, (compression,))}, strips, order))

    result, expected = (opened(each).convert("RGB") for each in (prepared.data, prepare(saved(image, "TIFF")).data))
    assert np.abs(np.asarray(result).astype(int) - np.asarray(expected)).max() <= 2


@pytest.mark.parametrize("compression", [NONE, DEFLATE])
def test_tiles_and_planes_are_put_together(compression: int) -> None:
    padded = np.zeros((48, 64, 3), np.uint8)
    padded[:40, :60] = PIXELS
    tiles = [padded[y : y + 16, x : x + 16].tobytes() for y in range(0, 48, 16) for x in range(0, 64, 16)]
    planes = [PIXELS[..., each].tobytes() for each in range(3)]
    tags = tags_of(60, 40) | {259: (3, (compression,))}
    if compression == DEFLATE:
        tiles, planes = deflated(*tiles), deflated(*planes)

    tiled, _ = decoded(a_tiff(tags | {322: (3, (16,)), 323: (3, (16,))}, tiles, places=(324, 325)))
    planar, _ = decoded(a_tiff(tags | {284: (3, (2,))}, planes))

    assert tiled.tobytes() == planar.tobytes() == IMAGE.tobytes()


@pytest.mark.parametrize(("extra", "mode"), [(None, "RGB"), (0, "RGB"), (1, "RGBA"), (2, "RGBA")])
def test_a_fourth_sample_is_alpha_only_if_the_file_says_so(extra: int | None, mode: str) -> None:
    tags = tags_of(60, 40, samples=4) | ({} if extra is None else {338: (3, (extra,))})
    pixels = np.dstack([PIXELS // 2, np.full((40, 60), 128, np.uint8)]).tobytes()

    result, _ = decoded(a_tiff(tags, [pixels]))

    assert result.mode == mode
    # Associated alpha is divided out (TIFF 6.0 §18).
    assert result.getpixel((2, 2))[0] == (253 if extra == 1 else 127)


def test_a_fifth_sample_of_cyan_to_black_is_taken_if_it_is_no_alpha() -> None:
    tags = tags_of(60, 40, samples=5, photometric=5) | {338: (3, (0,))}
    ink = np.dstack([255 - PIXELS, np.zeros((40, 60), np.uint8), np.full((40, 60), 99, np.uint8)])

    result, _ = decoded(a_tiff(tags, [ink.tobytes()]))

    assert result.convert("RGB").tobytes() == IMAGE.tobytes()


def test_white_may_be_zero() -> None:
    data = a_tiff(tags_of(60, 40, samples=1, photometric=0), [bytes(range(60)) * 40])

    result, _ = decoded(data)

    assert (result.getpixel((0, 0)), result.getpixel((59, 0))) == (255, 196)


def test_only_the_first_page_is_handed_on() -> None:
    data = an_animation(40, 30, "TIFF")

    prepared = prepare(data)

    assert corners(prepared.data) == ["red"] * 4
    assert sum(len(span) if isinstance(span, bytes) else span[1] - span[0] for span in scan(data).image_spans) < 4000


def test_other_tags_never_reach_the_decoder() -> None:
    private = {700: (1, tuple(b"<x:xmpmeta/>")), 34675: (1, tuple(b"profile!")), 65000: (1, tuple(b"secret!!"))}
    data = a_tiff(tags_of(60, 40) | private, [IMAGE.tobytes()])

    header = scan(data).image_spans[0]

    assert isinstance(header, bytes)
    assert b"secret" in data
    assert not any(word in header for word in (b"xmpmeta", b"profile", b"secret"))
    assert corners(prepare(data).data) == UPRIGHT


def test_the_icc_profile_is_found_and_a_damaged_one_is_none() -> None:
    profile = {34675: (1, tuple(b"a profile"))}
    data = a_tiff(tags_of(60, 40) | profile, [IMAGE.tobytes()])
    entry = struct.pack("<HHI", 34675, 1, 9)

    assert scan(data).icc_profile == b"a profile"
    assert scan(data.replace(entry, struct.pack("<HHI", 34675, 1, 900_000))).icc_profile is None
    assert scan(data.replace(entry, struct.pack("<HHI", 34675, 1, 2**31))).icc_profile is None
    assert scan(saved(IMAGE, "TIFF", icc_profile=b"a profile of Pillow's")).icc_profile == b"a profile of Pillow's"


def test_an_orientation_that_is_none_is_upright() -> None:
    assert decoded(a_tiff(tags_of(60, 40) | {274: (3, (9,))}, [IMAGE.tobytes()]))[1].orientation == 1


def test_a_directory_may_stand_after_the_pixels() -> None:
    pixels = IMAGE.tobytes()
    tags = tags_of(60, 40) | {273: (4, (8,)), 279: (4, (len(pixels),))}
    data = bytearray(directory(tags, at=8 + len(pixels)))
    data[8 : 8 + len(pixels)] = pixels

    assert corners(prepare(data).data) == UPRIGHT


def test_a_tiff_has_a_pixel_cap_of_its_own() -> None:
    error = error_of(a_tiff(tags_of(6001, 6000), [b""]))

    assert (error.code, error.limit) == ("image_too_many_pixels", TIFF.max_pixels)


def test_a_strip_that_inflates_to_more_than_memory_allows_is_too_large() -> None:
    error = error_of(a_tiff(tags_of(5000, 5000) | {259: (3, (DEFLATE,))}, deflated(bytes(1000))))

    assert (error.code, error.limit) == ("image_too_many_pixels", 72_000_000)
    assert "smaller strips" in error.message


def one(changes: dict[int, tuple[int, tuple[int, ...]]], strips: list[bytes] | None = None, **layout: int) -> bytes:
    return a_tiff(tags_of(60, 40, **layout) | changes, strips or [IMAGE.tobytes()])


UNSUPPORTED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "CCITT": ("CCITT", lambda: one({259: (3, (4,))})),
    "CCITT, modified Huffman": ("CCITT", lambda: one({259: (3, (2,))})),
    "CCITT, group 3": ("CCITT", lambda: one({259: (3, (3,))})),
    "LZMA": ("LZMA", lambda: one({259: (3, (34_925,))})),
    "old JPEG": ("JPEG", lambda: one({259: (3, (6,))})),
    "JPEG": ("JPEG", lambda: one({259: (3, (7,))})),
    "Zstandard": ("Zstandard", lambda: one({259: (3, (50_000,))})),
    "an unknown method": ("method 999", lambda: one({259: (3, (999,))})),
    "YCbCr": ("YCbCr", lambda: one({262: (3, (6,))})),
    "Lab": ("Lab", lambda: one({262: (3, (8,))})),
    "ICC's Lab": ("Lab", lambda: one({262: (3, (9,))})),
    "a mask": ("a mask", lambda: one({262: (3, (4,))})),
    "a sensor's samples": ("camera raw samples", lambda: one({262: (3, (32_803,))})),
    "cyan to black and alpha": ("layout", lambda: one({338: (3, (1,))}, samples=5, photometric=5)),
    "floating point": ("floating-point", lambda: one({339: (3, (3, 3, 3))})),
    "32 bits": ("32 bits", lambda: one({258: (3, (32,) * 3)})),
    "mixed bits": ("layout", lambda: one({258: (3, (5, 6, 5))})),
    "white is zero in 16 bits": ("layout", lambda: one({}, bits=16, samples=1, photometric=0)),
    "reversed bits": ("reverse", lambda: one({266: (3, (2,))})),
    "predictor of floating point": ("predictor", lambda: one({259: (3, (8,)), 317: (3, (3,))})),
    "seven samples": ("7 samples", lambda: one({277: (3, (7,))})),
    "alpha in a plane": ("planes", lambda: one({284: (3, (2,)), 338: (3, (2,))}, samples=4)),
    "camera raw": ("preview", lambda: one({254: (4, (1,))})),
    "DNG": ("preview", lambda: one({50706: (1, (1, 4, 0, 0))})),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_pixels_that_are_not_decoded_are_named_with_a_way_out(name: str) -> None:
    word, build = UNSUPPORTED[name]

    error = error_of(build())

    assert error.code == "unsupported_image_format"
    assert word in error.message
    assert "convert it to JPEG or PNG" in error.message


HOSTILE: dict[str, Callable[[], bytes]] = {
    "only a header": lambda: b"II*\0\x08\0\0\0",
    "a directory past the end": lambda: b"II*\0\xff\xff\xff\xff" + bytes(100),
    "a directory that is its own next": lambda: b"II*\0\x08\0\0\0" + struct.pack("<HI", 0, 8),
    "65,535 entries": lambda: b"MM\0*\0\0\0\x08\xff\xff" + bytes(12 * 65_535),
    "no size": lambda: directory({262: (3, (2,))}),
    "no strips": lambda: directory(tags_of(60, 40)),
    "a side of zero": lambda: one({256: (4, (0,))}),
    "a strip past the end": lambda: one({273: (4, (10_000_000,))}),
    "a strip longer than the file": lambda: one({279: (4, (2**32 - 1,))}),
    "too few strips": lambda: one({278: (4, (10,))}),
    "too many strips": lambda: one({}, [bytes(7200), bytes(7200)]),
    "strips that are all the same bytes": lambda: a_tiff(
        tags_of(6000, 6000, samples=1, photometric=1)
        | {278: (4, (1,)), 273: (4, (8,) * 6000), 279: (4, (6000,) * 6000), 259: (3, (LZW,))},
        [bytes(6000)],
    ),
    "a strip that is too short": lambda: one({}, [IMAGE.tobytes()[:-1]]),
    "rows per strip of zero": lambda: one({278: (4, (0,))}),
    "a strip of noise": lambda: one({259: (3, (DEFLATE,))}),
    "a deflated strip that ends early": lambda: one({259: (3, (DEFLATE,))}, deflated(IMAGE.tobytes()[:4000])),
    "a packed strip that ends early": lambda: one({259: (3, (PACKBITS,))}, [b"\x81\0" * 20]),
    "LZW of noise": lambda: one({259: (3, (LZW,))}, [bytes(range(256)) * 4]),
    "a million offsets": lambda: one({273: (4, (8,) * 1_000_000), 279: (4, (1,) * 1_000_000)}),
    "a size of a fraction": lambda: one({256: (5, (1,))}),
    "a size of two numbers": lambda: one({256: (3, (60, 40))}),
    "a palette that is not there": lambda: one({}, samples=1, photometric=3),
    "a short palette": lambda: one({320: (3, (0,) * 48)}, samples=1, photometric=3),
    "tiles of an odd side": lambda: a_tiff(
        tags_of(60, 40) | {322: (3, (60,)), 323: (3, (40,))}, [IMAGE.tobytes()], places=(324, 325)
    ),
    "tiles of no side": lambda: a_tiff(tags_of(60, 40) | {322: (3, (0,)), 323: (3, (0,))}, [b"x"], places=(324, 325)),
    "a tile far larger than the image": lambda: a_tiff(
        tags_of(60, 40) | {322: (4, (65_520,)), 323: (4, (65_520,)), 259: (3, (DEFLATE,))}, [b"x"], places=(324, 325)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tiff_is_invalid(name: str) -> None:
    assert error_of(HOSTILE[name]()).code == "invalid_image"
