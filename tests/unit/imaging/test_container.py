"""What is read of an EXIF block, and how runs of bytes are merged."""

import struct

import pytest

from obscura.imaging.container import UPRIGHT, ContainerInfo, EntropyScan, exif_orientation, merge_adjacent
from obscura.imaging.formats import FORMATS

ORIENTATION, SHORT, LONG = 0x0112, 3, 4
WIDTH = (0x0100, SHORT, 5)


def tiff(
    entries: list[tuple[int, int, int]], order: str = "<", directory_at: int = 8, count: int | None = None
) -> bytes:
    """A TIFF header and one directory of entries (tag, type, value)."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", directory_at)
    listed = b"".join(struct.pack(f"{order}HHIHH", tag, kind, 1, value, 0) for tag, kind, value in entries)
    return head.ljust(directory_at, b"\0") + struct.pack(f"{order}H", len(entries) if count is None else count) + listed


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("value", range(1, 9))
def test_an_orientation_is_read_in_both_byte_orders(order: str, value: int) -> None:
    assert exif_orientation(tiff([(ORIENTATION, SHORT, value)], order)) == value


@pytest.mark.parametrize("value", [0, 9, 0xFFFF])
def test_an_orientation_outside_of_1_to_8_is_upright(value: int) -> None:
    assert exif_orientation(tiff([(ORIENTATION, SHORT, value)])) == UPRIGHT


def test_an_orientation_of_another_type_is_upright() -> None:
    assert exif_orientation(tiff([(ORIENTATION, LONG, 6)])) == UPRIGHT
    assert exif_orientation(tiff([(ORIENTATION, SHORT - 1, 6)])) == UPRIGHT


def test_the_orientation_stands_anywhere_in_the_directory() -> None:
    entries = [WIDTH, WIDTH, (ORIENTATION, SHORT, 6)]

    assert exif_orientation(tiff(entries)) == 6
    assert exif_orientation(tiff(entries, directory_at=100)) == 6


def test_the_first_orientation_counts() -> None:
    assert exif_orientation(tiff([(ORIENTATION, SHORT, 3), (ORIENTATION, SHORT, 6)])) == 3
    assert exif_orientation(tiff([(ORIENTATION, SHORT, 9), (ORIENTATION, SHORT, 6)])) == UPRIGHT


def test_512_entries_are_read_and_no_more() -> None:
    assert exif_orientation(tiff([WIDTH] * 511 + [(ORIENTATION, SHORT, 6)])) == 6
    assert exif_orientation(tiff([WIDTH] * 512 + [(ORIENTATION, SHORT, 6)])) == UPRIGHT


def test_the_count_ends_the_directory() -> None:
    assert exif_orientation(tiff([WIDTH, (ORIENTATION, SHORT, 6)], count=1)) == UPRIGHT


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"II",
        b"XX*\0\x08\0\0\0",
        tiff([(ORIENTATION, SHORT, 6)])[:19],
        tiff([WIDTH], count=9),
        b"II*\0\xff\xff\xff\xff",
    ],
)
def test_a_damaged_block_is_upright(damaged: bytes) -> None:
    assert exif_orientation(damaged) == UPRIGHT


def test_runs_that_touch_are_merged_and_others_kept() -> None:
    assert merge_adjacent([]) == ()
    assert merge_adjacent([(0, 8)]) == ((0, 8),)
    assert merge_adjacent([(0, 8), (8, 20), (20, 21)]) == ((0, 21),)
    assert merge_adjacent([(0, 8), (9, 20), (20, 30)]) == ((0, 8), (9, 30))
    assert merge_adjacent([(0, 8), (7, 20)]) == ((0, 8), (7, 20))


def test_what_a_format_does_not_say_of_itself_is_the_cautious_default() -> None:
    assert [name for name, each in FORMATS.items() if each.decodes_scaled] == ["JPEG"]
    assert [name for name, each in FORMATS.items() if each.is_common] == ["PNG", "JPEG", "WEBP", "GIF"]
    assert [name for name, each in FORMATS.items() if each.package] == ["HEIC"]
    assert all(each.is_available is True for each in FORMATS.values())


def test_a_scan_that_is_only_a_run_of_bytes_has_one_interval_of_a_byte_at_least() -> None:
    assert EntropyScan(3, 9) == EntropyScan(3, 9, (), 1, 1)


@pytest.mark.parametrize(
    ("scan", "lacks"),
    [
        (EntropyScan(5, 9, (7,), intervals=2, min_bytes=4), False),
        (EntropyScan(5, 9, (7,), intervals=3, min_bytes=4), True),
        (EntropyScan(5, 9, (7,), intervals=2, min_bytes=5), True),
        (EntropyScan(5, 9, (7, 8), intervals=2, min_bytes=4), False),
    ],
    ids=["whole", "a restart less", "a byte less", "a restart more"],
)
def test_a_scan_lacks_data_without_its_restarts_or_without_its_bytes(scan: EntropyScan, lacks: bool) -> None:
    assert scan.lacks_data is lacks


def test_an_image_of_which_a_format_says_no_more_is_four_bytes_a_pixel_and_nothing_beside() -> None:
    info = ContainerInfo(FORMATS["PNG"], 1, 1, UPRIGHT, is_canonical=False, image_spans=())

    assert (info.bit_depth, info.pixel_bytes, info.decoder_bytes, info.raster_bytes) == (8, 4, 0, 0)
    assert info.has_full_chroma is False
    assert FORMATS["PNG"].decoder_bytes_per_pixel == 0
