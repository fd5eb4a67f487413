"""The walk through a GIF: the first frame, its control block, and nothing after its trailer."""

import struct

import pytest

from obscura.imaging.errors import ImageError
from obscura.imaging.formats.gif import scan

CONTROL = b"\x21\xf9\x04\x00\x00\x00\x00\x00"
COMMENT = b"\x21\xfe\x02hi\x00"
TRAILER = b"\x3b"
LZW = b"\x02\x02\x4c\x01\x00"


def screen(width: int, height: int, flags: int = 0, table: bytes = b"") -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + table


def frame(left: int = 0, top: int = 0, width: int = 1, height: int = 1, flags: int = 0, table: bytes = b"") -> bytes:
    return b"\x2c" + struct.pack("<HHHHB", left, top, width, height, flags) + table + LZW


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as error:
        scan(data)
    assert error.value.code == "invalid_image"
    return error.value.message


def test_the_size_is_that_of_the_screen() -> None:
    info = scan(screen(700, 300) + frame() + TRAILER)

    assert (info.width_px, info.height_px, info.orientation, info.is_canonical) == (700, 300, 1, False)


@pytest.mark.parametrize(
    ("place", "expected"),
    [((5, 6, 10, 20), (15, 26)), ((0, 0, 300, 1), (300, 9)), ((0, 3, 1, 6), (9, 9)), ((0, 4, 1, 6), (9, 10))],
)
def test_a_first_frame_past_the_screen_enlarges_it(place: tuple[int, int, int, int], expected: tuple[int, int]) -> None:
    info = scan(screen(9, 9) + frame(*place) + TRAILER)

    assert (info.width_px, info.height_px) == expected


def test_a_later_frame_neither_enlarges_the_screen_nor_is_handed_on() -> None:
    first = screen(9, 9) + frame()

    info = scan(first + CONTROL + frame(0, 0, 500, 500) + TRAILER)

    assert (info.width_px, info.height_px) == (9, 9)
    assert info.image_spans == ((0, len(first)), (len(first) + len(CONTROL) + len(frame()), len(first) + 8 + 15 + 1))


def test_the_control_block_before_the_first_frame_is_handed_on_and_comments_are_not() -> None:
    head = screen(1, 1)
    data = head + COMMENT + CONTROL + COMMENT + frame() + TRAILER
    control = len(head) + len(COMMENT)
    image = control + len(CONTROL) + len(COMMENT)

    assert scan(data).image_spans == ((0, 13), (control, control + 8), (image, len(data)))


def test_the_last_control_block_before_the_first_frame_counts() -> None:
    data = screen(1, 1) + CONTROL + CONTROL + frame() + TRAILER

    assert scan(data).image_spans == ((0, 13), (21, len(data)))


@pytest.mark.parametrize("bits", range(8))
def test_colour_tables_are_passed_over_by_their_size(bits: int) -> None:
    table = b"\x3b" * (3 * 2 ** (bits + 1))
    data = screen(1, 1, 0x80 | bits, table) + frame(flags=0x80 | bits, table=table) + TRAILER

    assert scan(data).image_spans == ((0, len(data)),)


def test_without_the_flag_there_is_no_colour_table() -> None:
    data = screen(1, 1, 0x07) + frame(flags=0x07) + TRAILER

    assert scan(data + b"more").image_spans == ((0, len(data)),)


def test_a_gif_without_a_frame_is_refused() -> None:
    assert "has no frame" in refused(screen(1, 1) + COMMENT + TRAILER)


def test_an_unknown_block_is_refused() -> None:
    assert "malformed block" in refused(screen(1, 1) + b"\x00" + frame() + TRAILER)
    assert "malformed block" in refused(screen(1, 1) + b"\x22" + frame() + TRAILER)
    assert "malformed block" in refused(screen(1, 1) + frame() + b"\x3c" + TRAILER)


@pytest.mark.parametrize("kept", [8, 12, 13, 20, -1, -3])
def test_a_cut_gif_is_cut_short(kept: int) -> None:
    assert "cut short" in refused((screen(1, 1) + frame() + TRAILER)[:kept])


def test_262144_sub_blocks_are_walked_and_no_more() -> None:
    within = b"\x21\xfe" + b"\x01a" * (262_144 - 1) + b"\x00"

    assert scan(screen(1, 1) + within + frame() + TRAILER).width_px == 1
    with pytest.raises(ImageError, match="more than 262144 blocks") as error:
        scan(screen(1, 1) + within + COMMENT + frame() + TRAILER)
    assert error.value.limit == 262_144
