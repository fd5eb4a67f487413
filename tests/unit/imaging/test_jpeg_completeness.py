"""A JPEG of which a part is missing or overwritten is invalid; one that has every block is not."""

import io
import random
from collections.abc import Callable

import pytest
from PIL import Image

from obscura.imaging import ImageError, prepare
from obscura.imaging.decode import decode
from obscura.imaging.prepare import scan
from tests.unit.imaging.images import a_photograph, jpeg_data_span, opened, photograph_pixels, saved

KINDS: dict[str, dict[str, object]] = {
    "4:2:0": {},
    "4:4:4": {"subsampling": "4:4:4"},
    "4:2:2": {"subsampling": "4:2:2"},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts by row": {"restart_marker_rows": 1},
    "restarts by MCU": {"restart_marker_blocks": 1},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 2},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
    "RGB": {"keep_rgb": True},
    "poor": {"quality": 10},
    "fine": {"quality": 98, "subsampling": "4:4:4"},
}
WHOLE = {name: a_photograph(637, 411, "JPEG", **options) for name, options in KINDS.items()}  # type: ignore[arg-type]
Damage = Callable[[bytes], bytes]


def noise(size: int) -> bytes:
    return random.Random(9).randbytes(size).replace(b"\xff", b"\xfe")  # noqa: S311 - the same on every run


DAMAGES: dict[str, Damage] = {
    "empty": lambda data: b"",
    "half is missing": lambda data: data[: len(data) // 2],
    "a hundredth is missing": lambda data: data[: -len(data) // 100],
    "20 bytes are missing": lambda data: data[:-20],
    "second half is zero": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "all is zero": lambda data: bytes(len(data)),
    "second half is noise": lambda data: data[: len(data) // 2] + noise(len(data) - len(data) // 2),
    "all is noise": lambda data: noise(len(data)),
    "2 KiB in the middle are missing": lambda data: data[: len(data) // 3] + data[len(data) // 3 + 2048 :],
}


def damaged(jpeg: bytes, damage: Damage, scan_index: int = 0) -> bytes:
    start, end = jpeg_data_span(jpeg, scan_index)
    return jpeg[:start] + damage(jpeg[start:end]) + jpeg[end:]


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_jpeg_decodes_to_the_pixels_that_libjpeg_gives(kind: str) -> None:
    data = WHOLE[kind]

    image = decode(data, scan(data))

    assert image.mode == opened(data).mode
    assert image.tobytes() == opened(data).tobytes()


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_jpeg_with_damaged_data_is_invalid(kind: str, damage: str) -> None:
    with pytest.raises(ImageError) as error:
        prepare(damaged(WHOLE[kind], DAMAGES[damage]))

    assert error.value.code == "invalid_image"
    assert "JPEG" in error.value.message


@pytest.mark.parametrize("scan_index", [1, 2, 3, 5, 6, 7, 8, 9])  # the fifth has two bytes, less than is noticed
@pytest.mark.parametrize("damage", ["empty", "half is missing"])
def test_every_scan_of_a_progressive_jpeg_has_to_be_whole(scan_index: int, damage: str) -> None:
    with pytest.raises(ImageError, match="damaged"):
        prepare(damaged(WHOLE["progressive"], DAMAGES[damage], scan_index))


def test_a_header_alone_is_no_image_of_any_size() -> None:
    for side in (8, 16, 640):
        data = a_photograph(side, side, "JPEG")
        start, end = jpeg_data_span(data)
        assert len(data[:start] + data[end:]) < 700
        with pytest.raises(ImageError, match="damaged"):
            prepare(data[:start] + data[end:])


@pytest.mark.parametrize("kind", ["restarts by row", "progressive with restarts"])
def test_a_lost_restart_interval_is_noticed(kind: str) -> None:
    data = WHOLE[kind]
    first, second, third = (data.index(bytes([0xFF, 0xD0 + number])) for number in range(3))

    for broken in (
        data[:first] + data[second:],
        data[: first + 2] + data[first + 40 :],
        data[:first] + data[second:third] + data[first:second] + data[third:],
        data[:first] + data[first + 2 :],
    ):
        with pytest.raises(ImageError, match="damaged"):
            prepare(broken)


def test_restart_markers_without_an_interval_are_damage() -> None:
    data = WHOLE["restarts by row"]
    at = data.index(b"\xff\xdd")

    with pytest.raises(ImageError, match="damaged"):
        prepare(data[:at] + data[at + 6 :])


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_marker_is_whole(kind: str, missing: int) -> None:
    data = WHOLE[kind]

    assert prepare(data[:-missing]).data == prepare(data).data


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("more", [b"\0", b"\x12\x34" * 300, bytes(50_000), b"\xff" * 7], ids=len)
def test_bytes_after_the_last_block_are_no_damage(kind: str, more: bytes) -> None:
    data = WHOLE[kind]
    if "restart" in kind or "progressive" in kind:
        more = more[:900]

    prepared = prepare(data[:-2] + more + data[-2:])

    assert prepared.data == prepare(data).data


def test_more_restart_intervals_than_blocks_are_no_damage() -> None:
    data = WHOLE["restarts by row"]
    start = data.rindex(b"\xff\xd2", 0, -2)
    tail, last = data[start + 2 : -2], data[-2:]
    number = (-(-411 // 16) - 1) % 8

    prepared = prepare(data[:-2] + bytes([0xFF, 0xD0 + number]) + tail[:600] + last)

    assert prepared.data == prepare(data).data


def test_an_adobe_marker_with_more_bytes_still_decides_the_colours() -> None:
    data = a_photograph(60, 40, "JPEG", mode="CMYK")
    at = data.index(b"\xff\xee")
    longer = data[:at] + b"\xff\xee\0\x10" + data[at + 4 : at + 16] + b"\0\0" + data[at + 16 :]

    assert prepare(longer).data == prepare(data).data


@pytest.mark.parametrize("marker", [0xC3, 0xC9, 0xCA])
def test_codings_that_browsers_do_not_show_are_unsupported(marker: int) -> None:
    data = a_photograph(60, 40, "JPEG")

    with pytest.raises(ImageError, match="baseline") as error:
        prepare(data.replace(b"\xff\xc0", bytes([0xFF, marker]), 1))

    assert error.value.code == "unsupported_image_format"


def test_a_coefficient_beyond_sixteen_bits_does_not_reach_the_model() -> None:
    """Decoders differ on it: SIMD wraps coefficient times quantiser at 16 bits. What goes on was written by us."""
    data = bytearray(a_photograph(64, 64, "JPEG", quality=100))
    at = data.index(b"\xff\xdb")
    data[at + 5 : at + 69] = bytes([255] * 64)

    prepared = prepare(bytes(data))

    assert not prepared.unchanged
    assert max(Image.open(io.BytesIO(prepared.data)).quantization[0]) < 100  # type: ignore[attr-defined]


def test_a_blank_page_that_is_coded_in_zeros_is_whole() -> None:
    page = photograph_pixels(640, 320).resize((640, 320))
    blank = Image.new("RGB", (640, 1280), "white")
    blank.paste(page, (0, 0))

    assert prepare(saved(blank, "JPEG", optimize=True)).height_px == 1280
