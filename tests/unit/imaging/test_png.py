"""The walk through a PNG: what it hands on, what it takes for metadata, and where it ends."""

import struct
import tracemalloc
import zlib

import pytest

from obscura.imaging.errors import ImageError
from obscura.imaging.formats.png import idat_is_exactly, scan
from tests.unit.imaging.images import png_chunk

MAX_PROFILE_BYTES = 1_048_576
SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = png_chunk(b"IEND", b"")
SRGB_GAMMA = struct.pack(">I", 45455)
EXIF_6 = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"


def header(width: int = 3, height: int = 2, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def pixels(raster: bytes = bytes(20)) -> bytes:
    return png_chunk(b"IDAT", zlib.compress(raster))


def png(*chunks: bytes, first: bytes | None = None) -> bytes:
    return SIGNATURE + (header() if first is None else first) + b"".join(chunks)


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as error:
        scan(data)
    assert error.value.code == "invalid_image"
    return error.value.message


def profile_chunk(profile: bytes, name: bytes = b"icc", method: bytes = b"\0") -> bytes:
    return png_chunk(b"iCCP", name + b"\0" + method + zlib.compress(profile))


def test_the_sizes_and_the_depth_are_those_of_the_header() -> None:
    info = scan(png(pixels(), END, first=header(70_000, 300, 16, 2)))

    assert (info.width_px, info.height_px, info.bit_depth, info.orientation) == (70_000, 300, 16, 1)
    assert not info.is_canonical


@pytest.mark.parametrize(("depth", "colour"), [(8, 0), (8, 2)])
def test_8_bits_of_grey_or_rgb_are_canonical(depth: int, colour: int) -> None:
    assert scan(png(pixels(), END, first=header(depth=depth, colour=colour))).is_canonical


@pytest.mark.parametrize(
    ("depth", "colour", "interlaced"), [(8, 3, 0), (8, 4, 0), (8, 6, 0), (16, 2, 0), (4, 0, 0), (8, 2, 1)]
)
def test_other_pixels_are_not_canonical(depth: int, colour: int, interlaced: int) -> None:
    assert not scan(png(pixels(), END, first=header(3, 2, depth, colour, interlaced))).is_canonical


@pytest.mark.parametrize(
    ("chunk", "canonical"),
    [
        (png_chunk(b"gAMA", SRGB_GAMMA), True),
        (png_chunk(b"gAMA", struct.pack(">I", 45456)), False),
        (png_chunk(b"sRGB", b"\0"), True),
        (png_chunk(b"sRGB", b"\0\0"), False),
        (png_chunk(b"pHYs", bytes(9)), True),
        (png_chunk(b"pHYs", bytes(10)), False),
        (png_chunk(b"tEXt", b"a\0b"), False),
        (png_chunk(b"PLTE", bytes(3)), False),
        (png_chunk(b"tRNS", bytes(6)), False),
        (png_chunk(b"eXIf", EXIF_6), False),
    ],
)
def test_only_chunks_without_a_choice_leave_a_png_canonical(chunk: bytes, canonical: bool) -> None:
    assert scan(png(chunk, pixels(), END)).is_canonical is canonical
    assert not scan(png(pixels(), png_chunk(b"tEXt", b"a\0b"), END)).is_canonical


def test_bytes_after_the_end_are_neither_canonical_nor_handed_on() -> None:
    data = png(pixels(), END)

    info = scan(data + b"more")

    assert not info.is_canonical
    assert info.image_spans == ((0, len(data)),)


def test_only_the_image_is_handed_on() -> None:
    text = png_chunk(b"tEXt", b"a\0b")
    data = png(text, pixels(), END)
    start = len(SIGNATURE) + len(header())

    assert scan(data).image_spans == ((0, start), (start + len(text), len(data)))


def test_the_first_exif_block_counts() -> None:
    other = png_chunk(b"eXIf", EXIF_6.replace(b"\x06\0\0\0", b"\x03\0\0\0"))

    assert scan(png(png_chunk(b"eXIf", EXIF_6), other, pixels(), END)).orientation == 6
    assert scan(png(pixels(), png_chunk(b"eXIf", EXIF_6), END)).orientation == 6


@pytest.mark.parametrize("kept", [7, 20, 40, -1])
def test_a_cut_png_is_cut_short(kept: int) -> None:
    assert "cut short" in refused(png(pixels(), END)[:kept])


def test_a_png_without_an_end_is_cut_short() -> None:
    assert "cut short" in refused(png(pixels()))
    assert "cut short" in refused(png(pixels(), END)[:-12])


@pytest.mark.parametrize("at", [8 + 8, 8 + 4 + 4 + 13])
def test_a_byte_that_is_not_under_its_checksum_is_damage(at: int) -> None:
    data = bytearray(png(pixels(), END))
    data[at] ^= 1

    assert "checksum" in refused(bytes(data))


def test_a_header_comes_once_and_first_and_has_13_bytes() -> None:
    assert "malformed header" in refused(png(header(), pixels(), END))
    assert "malformed header" in refused(png(pixels(), header(), END, first=b""))
    assert "malformed header" in refused(png(pixels(), END, first=png_chunk(b"IHDR", bytes(12))))
    assert "malformed header" in refused(png(pixels(), END, first=png_chunk(b"IHDR", bytes(14))))


def test_pixels_stand_in_one_place() -> None:
    assert scan(png(pixels(), pixels(), END)).width_px == 3
    assert "several places" in refused(png(pixels(), png_chunk(b"tIME", bytes(7)), pixels(), END))


def test_a_png_without_pixels_is_refused() -> None:
    assert "has no pixels" in refused(png(END))


def test_a_critical_chunk_that_is_not_in_the_standard_is_refused() -> None:
    assert "critical chunk" in refused(png(png_chunk(b"ABCD", b""), pixels(), END))
    assert scan(png(png_chunk(b"aBCD", b""), pixels(), END)).width_px == 3


def test_65536_chunks_are_walked_and_no_more() -> None:
    empty = png_chunk(b"IDAT", b"")
    fits = png(empty * (65_536 - 2), END)

    assert scan(fits).width_px == 3
    assert "more than 65536 chunks" in refused(png(empty * (65_536 - 1), END))


def test_the_first_profile_before_the_pixels_counts() -> None:
    info = scan(png(profile_chunk(b"one"), profile_chunk(b"two"), pixels(), END))

    assert info.icc_profile == b"one"
    assert scan(png(pixels(), profile_chunk(b"one"), END)).icc_profile is None


@pytest.mark.parametrize(
    ("name", "method", "expected"),
    [(b"n", b"\0", b"p"), (b"n" * 79, b"\0", b"p"), (b"", b"\0", None), (b"n" * 80, b"\0", None), (b"n", b"\1", None)],
)
def test_a_profile_has_a_name_of_1_to_79_bytes(name: bytes, method: bytes, expected: bytes | None) -> None:
    assert scan(png(profile_chunk(b"p", name, method), pixels(), END)).icc_profile == expected


def test_a_broken_or_too_large_profile_is_none() -> None:
    largest = bytes(MAX_PROFILE_BYTES)

    assert scan(png(png_chunk(b"iCCP", b"n\0\0broken"), pixels(), END)).icc_profile is None
    assert scan(png(profile_chunk(largest), pixels(), END)).icc_profile == largest
    assert scan(png(profile_chunk(largest + b"\0"), pixels(), END)).icc_profile is None


@pytest.mark.parametrize(("size", "exact"), [(20, True), (19, False), (21, False), (0, False)])
def test_pixels_inflate_to_exactly_their_raster(size: int, exact: bool) -> None:
    assert idat_is_exactly(png(pixels(), END), size) is exact


def test_a_pixel_stream_is_one_whatever_chunks_it_is_cut_into() -> None:
    stream = zlib.compress(bytes(range(256)) * 900, 0)  # stored: 230 KB, so that a chunk is read in several slices
    pieces = [png_chunk(b"IDAT", stream[:100_000]), png_chunk(b"IDAT", stream[100_000:])]

    assert idat_is_exactly(png(*pieces, END), 256 * 900)
    assert not idat_is_exactly(png(*pieces, END), 256 * 900 + 1)


def test_a_stream_that_goes_on_after_its_end_or_does_not_end_is_not_exact() -> None:
    stream = zlib.compress(bytes(20))

    assert not idat_is_exactly(png(png_chunk(b"IDAT", stream + b"x"), END), 20)
    assert not idat_is_exactly(png(png_chunk(b"IDAT", stream), png_chunk(b"IDAT", b"x"), END), 20)
    assert not idat_is_exactly(png(png_chunk(b"IDAT", stream[:-1]), END), 20)
    assert not idat_is_exactly(png(png_chunk(b"IDAT", b"broken"), END), 20)


def test_a_stream_that_goes_on_after_its_raster_is_not_inflated() -> None:
    deflate = zlib.compressobj()
    raster = deflate.compress(bytes(20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    flood = deflate.compress(bytes(20_000_000)) + deflate.flush()
    data = png(png_chunk(b"IDAT", raster), png_chunk(b"IDAT", flood), END)

    tracemalloc.start()
    try:
        assert not idat_is_exactly(data, 20)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("depth", "colour", "expected"), [(8, 0, 1), (16, 0, 2), (1, 0, 1), (8, 3, 1), (8, 2, 4), (16, 2, 4), (16, 6, 4)]
)
def test_a_decoded_pixel_has_the_bytes_of_its_mode(depth: int, colour: int, expected: int) -> None:
    assert scan(png(pixels(), END, first=header(depth=depth, colour=colour))).pixel_bytes == expected
