"""The walk through a WEBP: its size by each of the three first chunks, and its end by the RIFF header."""

import struct

import pytest
from PIL import Image

from obscura.imaging.errors import ImageError
from obscura.imaging.formats.webp import WEBP, scan
from tests.unit.imaging.images import saved

MAX_PROFILE_BYTES = 1_048_576
EXIF_6 = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
EXIF_3 = EXIF_6.replace(b"\x06\0\0\0", b"\x03\0\0\0")


def chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)


def lossy(width: int = 3, height: int = 2, start: bytes = b"\x9d\x01\x2a", more: bytes = b"") -> bytes:
    return chunk(b"VP8 ", b"\x10\0\0" + start + struct.pack("<HH", width, height) + more)


def lossless(width: int = 3, height: int = 2, signature: bytes = b"\x2f") -> bytes:
    return chunk(b"VP8L", signature + struct.pack("<I", (width - 1) | (height - 1) << 14))


def extended(width: int = 3, height: int = 2) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return chunk(b"VP8X", bytes(4) + sides)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as error:
        scan(data)
    assert error.value.code == "invalid_image"
    return error.value.message


@pytest.mark.parametrize("size", [(1, 1), (300, 5), (5, 300), (16_383, 16_383)])
def test_the_size_is_read_from_each_kind_of_first_chunk(size: tuple[int, int]) -> None:
    for data in (webp(lossy(*size)), webp(lossless(*size)), webp(extended(*size), lossy())):
        info = scan(data)
        assert (info.width_px, info.height_px, info.bit_depth) == (*size, 8)


def test_an_extended_size_has_24_bits() -> None:
    info = scan(webp(extended(1 << 24, (1 << 24) - 255), lossy()))

    assert (info.width_px, info.height_px) == (1 << 24, (1 << 24) - 255)


def test_the_scale_bits_of_a_lossy_size_do_not_count() -> None:
    info = scan(webp(lossy(0xC000 | 30, 0x4000 | 20)))

    assert (info.width_px, info.height_px) == (30, 20)


@pytest.mark.parametrize("first", [lossy(), lossless()])
def test_one_image_chunk_alone_is_canonical_and_with_more_bytes_it_is_not(first: bytes) -> None:
    data = webp(first)

    assert scan(data).is_canonical
    assert not scan(data + b"x").is_canonical
    assert not scan(webp(first, chunk(b"XMP ", b"a"))).is_canonical
    assert scan(data + b"x").image_spans == ((0, len(data)),)


def test_an_extended_file_is_not_canonical() -> None:
    assert not scan(webp(extended(), lossy())).is_canonical


@pytest.mark.parametrize(
    "first",
    [
        lossy(start=b"\x9d\x01\x2b"),
        chunk(b"VP8 ", b"\x10\0\0\x9d\x01\x2a\x01\0"),
        lossless(signature=b"\x2e"),
        chunk(b"VP8L", b"\x2f\0\0\0"),
        chunk(b"VP8X", bytes(8)),
        chunk(b"EXIF", EXIF_6),
    ],
)
def test_a_first_chunk_without_a_size_is_a_malformed_header(first: bytes) -> None:
    assert "malformed header" in refused(webp(first, lossy()))


def test_a_first_chunk_may_have_just_its_header() -> None:
    assert scan(webp(chunk(b"VP8 ", b"\x10\0\0\x9d\x01\x2a\x01\0\x02\0"))).height_px == 2
    assert scan(webp(chunk(b"VP8L", b"\x2f\0\0\0\0"))).width_px == 1


def test_a_file_without_an_image_chunk_is_refused() -> None:
    assert "has no image" in refused(webp(extended(), chunk(b"XMP ", b"ab")))
    assert scan(webp(extended(), chunk(b"ANMF", bytes(16)))).width_px == 3


def test_a_cut_file_is_cut_short() -> None:
    data = webp(lossy())

    assert "cut short" in refused(data[:-1])
    assert "cut short" in refused(data[:12])


def test_a_chunk_has_to_fit() -> None:
    data = webp(extended(), chunk(b"VP8 ", bytes(10)))
    at = data.index(b"VP8 ") + 4
    for size in (11, 12, 0xFFFFFFFF):
        assert "do not fit" in refused(data[:at] + struct.pack("<I", size) + data[at + 4 :])
    short = b"RIFF" + struct.pack("<I", len(data) - 8 + 4) + data[8:] + b"VP8 "
    assert "do not fit" in refused(short)


def test_a_chunk_of_odd_size_is_padded() -> None:
    data = webp(extended(), chunk(b"XMP ", b"abc"), lossy(more=b"x"), chunk(b"EXIF", EXIF_6))

    assert scan(data).orientation == 6


def test_the_first_exif_chunk_counts_with_jpegs_prefix_or_without() -> None:
    assert scan(webp(extended(), lossy(), chunk(b"EXIF", EXIF_6), chunk(b"EXIF", EXIF_3))).orientation == 6
    assert scan(webp(extended(), lossy(), chunk(b"EXIF", b"Exif\0\0" + EXIF_3))).orientation == 3
    assert scan(webp(lossy())).orientation == 1


def test_the_first_profile_counts_unless_it_is_too_large() -> None:
    largest = bytes(MAX_PROFILE_BYTES)

    assert scan(webp(extended(), chunk(b"ICCP", b"one"), chunk(b"ICCP", b"two"), lossy())).icc_profile == b"one"
    assert scan(webp(extended(), chunk(b"ICCP", largest), lossy())).icc_profile == largest
    assert scan(webp(extended(), chunk(b"ICCP", largest + b"\0"), lossy())).icc_profile is None


def test_65536_chunks_are_walked_and_no_more() -> None:
    empty = chunk(b"XMP ", b"")

    # The end is seen at the start of a round, so the last round has no chunk.
    assert scan(webp(lossy(), empty * (65_535 - 1))).width_px == 3
    assert "more than 65536 chunks" in refused(webp(lossy(), empty * 65_535))


def with_alpha(low: int, high: int) -> bytes:
    """A lossless WEBP of two pixels with these alpha values, whose header says that alpha is not used."""
    image = Image.new("RGBA", (2, 1), (10, 20, 30, low))
    image.putpixel((1, 0), (40, 50, 60, high))
    data = bytearray(saved(image, "WEBP", lossless=True, exact=True))
    at = data.index(b"VP8L")
    plain = bytearray(webp(bytes(data[at:])))
    plain[24] &= ~0x10
    return bytes(plain)


@pytest.mark.parametrize(
    ("low", "high", "opaque"), [(255, 255, True), (254, 255, False), (0, 255, False), (0, 0, False), (254, 254, False)]
)
def test_alpha_that_the_header_denies_is_found(low: int, high: int, opaque: bool) -> None:
    assert WEBP.pixels_are_exactly is not None
    assert WEBP.pixels_are_exactly(with_alpha(low, high), 0) is opaque


def test_a_lossy_file_of_one_chunk_has_no_alpha() -> None:
    assert WEBP.pixels_are_exactly is not None
    assert WEBP.pixels_are_exactly(saved(Image.new("RGB", (2, 2)), "WEBP"), 0) is True
