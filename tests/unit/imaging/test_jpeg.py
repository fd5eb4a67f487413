"""The walk through a JPEG: its markers, the bytes that are handed on, its scans, and their bounds."""

import struct

import pytest

from obscura.imaging.errors import ImageError
from obscura.imaging.formats.jpeg import scan

MAX_PROFILE_BYTES = 1_048_576
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
EXIF_6 = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
EXIF_3 = EXIF_6.replace(b"\x06\0\0\0", b"\x03\0\0\0")
BASELINE, PROGRESSIVE = 0xC0, 0xC2
YCC_420 = ((1, 2, 2), (2, 1, 1), (3, 1, 1))
CODED = b"\x12\x34\x56\x78"


def segment(marker: int, payload: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(payload) + 2) + payload


def frame(width: int = 16, height: int = 16, marker: int = BASELINE, parts: tuple = ((1, 1, 1),)) -> bytes:
    listed = b"".join(bytes([identifier, h << 4 | v, 0]) for identifier, h, v in parts)
    return segment(marker, b"\x08" + struct.pack(">HHB", height, width, len(parts)) + listed)


def scan_header(*identifiers: int, first: int = 0, last: int = 63, approximation: int = 0) -> bytes:
    chosen = b"".join(bytes([identifier, 0]) for identifier in identifiers or (1,))
    return segment(0xDA, bytes([len(chosen) // 2]) + chosen + bytes([first, last, approximation]))


def jpeg(*parts: bytes) -> bytes:
    return SOI + b"".join(parts)


def whole(*before: bytes, width: int = 16, height: int = 16) -> bytes:
    return jpeg(*before, frame(width, height), scan_header(), CODED, EOI)


def refused(data: bytes, code: str = "invalid_image") -> str:
    with pytest.raises(ImageError) as error:
        scan(data)
    assert error.value.code == code
    return error.value.message


def profile_chunk(number: int, count: int, data: bytes) -> bytes:
    return segment(0xE2, b"ICC_PROFILE\0" + bytes([number, count]) + data)


def test_the_size_is_that_of_the_frame_and_a_jpeg_is_never_canonical() -> None:
    info = scan(whole(width=700, height=300))

    assert (info.width_px, info.height_px, info.orientation, info.is_canonical) == (700, 300, 1, False)
    assert info.image_spans == ((0, len(whole())),)


def test_bytes_after_the_end_are_not_handed_on() -> None:
    assert scan(whole() + whole()).image_spans == ((0, len(whole())),)


def test_metadata_is_not_handed_on_and_what_defines_colours_is() -> None:
    jfif = segment(0xE0, b"JFIF\0" + bytes(9))
    adobe = segment(0xEE, b"Adobe" + bytes(7))
    metadata = [
        segment(0xE1, EXIF_6),
        segment(0xFE, b"comment"),
        segment(0xED, b"iptc"),
        segment(0xE0, b"JFXX\0" + bytes(9)),
    ]
    image = whole(jfif, adobe)[2:]

    info = scan(jpeg(*metadata, image))

    start = 2 + sum(map(len, metadata))
    assert info.image_spans == ((0, 2), (start, start + len(image)))
    assert info.orientation == 6


def test_the_first_exif_segment_counts() -> None:
    assert scan(whole(segment(0xE1, EXIF_6), segment(0xE1, EXIF_3))).orientation == 6
    assert scan(whole(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0"), segment(0xE1, EXIF_3))).orientation == 3


def test_a_profile_is_joined_from_its_chunks_in_their_order() -> None:
    assert scan(whole(profile_chunk(2, 2, b"b"), profile_chunk(1, 2, b"a"))).icc_profile == b"ab"
    assert scan(whole(profile_chunk(1, 1, b"a"))).icc_profile == b"a"


@pytest.mark.parametrize(
    "chunks",
    [
        [(1, 2, b"a")],
        [(1, 2, b"a"), (3, 2, b"b")],
        [(1, 1, b"")],
        [(0, 1, b"a")],
        [(1, 2, b"a"), (2, 3, b"b")],
    ],
)
def test_a_profile_that_lacks_a_chunk_is_none(chunks: list[tuple[int, int, bytes]]) -> None:
    assert scan(whole(*(profile_chunk(*chunk) for chunk in chunks))).icc_profile is None


def test_a_profile_of_a_mebibyte_is_taken_and_one_byte_more_is_not() -> None:
    pieces = [b"a" * 65_000] * (MAX_PROFILE_BYTES // 65_000) + [b"a" * (MAX_PROFILE_BYTES % 65_000)]
    chunks = [profile_chunk(number, len(pieces), piece) for number, piece in enumerate(pieces, 1)]
    longer = [*chunks[:-1], profile_chunk(len(pieces), len(pieces), pieces[-1] + b"a")]

    assert len(scan(whole(*chunks)).icc_profile or b"") == MAX_PROFILE_BYTES
    assert scan(whole(*longer)).icc_profile is None


@pytest.mark.parametrize(("width", "height", "blocks"), [(16, 16, 4), (17, 16, 6), (8, 8, 1), (1, 1, 1), (8, 9, 2)])
def test_a_block_of_a_sequential_jpeg_takes_two_bits(width: int, height: int, blocks: int) -> None:
    (one,) = scan(jpeg(frame(width, height), scan_header(), CODED, EOI)).entropy_scans

    assert one.min_bytes == -(-2 * blocks // 8)
    assert one.intervals == 1
    assert one.restarts == ()


@pytest.mark.parametrize(("width", "height", "mcus"), [(16, 16, 1), (17, 16, 2), (33, 17, 6), (160, 160, 100)])
def test_an_interleaved_scan_has_the_blocks_of_all_its_components(width: int, height: int, mcus: int) -> None:
    (one,) = scan(jpeg(frame(width, height, parts=YCC_420), scan_header(1, 2, 3), CODED, EOI)).entropy_scans

    assert one.min_bytes == -(-2 * 6 * mcus // 8)


def test_a_single_component_has_blocks_by_its_own_sampling() -> None:
    data = jpeg(frame(160, 160, parts=YCC_420), *(scan_header(each) + CODED for each in (1, 2, 3)), EOI)

    assert [one.min_bytes for one in scan(data).entropy_scans] == [2 * 400 // 8, 2 * 100 // 8, 2 * 100 // 8]


def test_the_first_scan_of_a_progressive_jpeg_takes_a_bit_a_block_and_later_ones_one_bit() -> None:
    scans = [scan_header(last=0), CODED, scan_header(first=1), CODED]
    info = scan(jpeg(frame(160, 160, PROGRESSIVE), *scans, EOI))

    assert [one.min_bytes for one in info.entropy_scans] == [400 // 8, 1]


def test_where_a_scans_data_begins_and_ends_is_counted_in_what_is_handed_on() -> None:
    head = SOI + frame() + scan_header()
    coded = b"\x01\xff\x00\x02"

    (one,) = scan(jpeg(segment(0xFE, b"comment"), head[2:], coded, EOI)).entropy_scans

    assert (one.start, one.end) == (len(head), len(head) + len(coded))


def test_restart_markers_part_a_scan_by_the_interval() -> None:
    coded = b"".join(b"\x01" + bytes([0xFF, 0xD0 + index % 8]) for index in range(9)) + b"\x01"
    head = SOI + segment(0xDD, b"\0\x03") + frame(240, 8) + scan_header()

    (one,) = scan(head + coded + EOI).entropy_scans

    assert one.intervals == 10
    assert one.restarts == tuple(len(head) + 1 + 3 * index for index in range(9))


@pytest.mark.parametrize("markers", [[0xD1], [0xD0, 0xD0], [0xD0, 0xD2]])
def test_restart_markers_out_of_order_are_damage(markers: list[int]) -> None:
    coded = b"".join(b"\x01\xff" + bytes([marker]) for marker in markers)

    assert "out of order" in refused(jpeg(frame(), scan_header(), coded, CODED, EOI))


def test_131072_restart_markers_are_read_and_no_more() -> None:
    eight = b"".join(b"\x01\xff" + bytes([0xD0 + index]) for index in range(8))
    most = jpeg(frame(), scan_header(), eight * (131_072 // 8), b"\x01", EOI)

    assert len(scan(most).entropy_scans[0].restarts) == 131_072
    assert "more than 131072 restart markers" in refused(most[:-3] + b"\x01\xff\xd0\x01" + EOI)


def test_restart_markers_of_all_scans_count_together() -> None:
    half = b"".join(b"\x01\xff" + bytes([0xD0 + index]) for index in range(8)) * (65_536 // 8)
    scans = [scan_header() + half + b"\x01", scan_header() + half]

    assert len(scan(jpeg(frame(), *scans, EOI)).entropy_scans) == 2
    assert "more than 131072" in refused(jpeg(frame(), *scans, b"\x01\xff\xd0\x01", EOI))


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCA, 0xCF])
def test_a_frame_of_another_coding_is_unsupported(marker: int) -> None:
    assert "arithmetically" in refused(jpeg(frame(marker=marker)), "unsupported_image_format")


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC])
def test_a_table_is_no_frame(marker: int) -> None:
    assert scan(whole(segment(marker, b"\0" * 8))).width_px == 16


@pytest.mark.parametrize(
    "bad",
    [
        frame() + frame(),
        segment(BASELINE, b"\x08\0\x10\0\x10"),
        segment(BASELINE, b"\x08\0\x10\0\x10\x01\x01\x11"),
        segment(BASELINE, b"\x08\0\x10\0\x10\x02\x01\x11\0"),
    ],
)
def test_a_frame_comes_once_and_has_its_length(bad: bytes) -> None:
    assert "malformed frame header" in refused(jpeg(bad, scan_header(), CODED, EOI))


@pytest.mark.parametrize(
    "bad",
    [
        segment(0xDA, b""),
        segment(0xDA, b"\0\0\x3f\0"),
        scan_header(9),
        scan_header(1, 1, 1, 1, 1),
        segment(0xDA, b"\x01\x01\0\0\x3f"),
        segment(0xDA, b"\x01\x01\0\0\x3f\0\0"),
    ],
)
def test_a_scan_names_one_to_four_components_of_the_frame(bad: bytes) -> None:
    assert "malformed scan header" in refused(jpeg(frame(), bad, CODED, EOI))


def test_a_component_without_sampling_is_malformed() -> None:
    for factors in ((0, 1), (1, 0)):
        parts = ((1, 1, 1), (2, *factors))
        assert "malformed scan header" in refused(jpeg(frame(parts=parts), scan_header(2), CODED, EOI))


def test_a_scan_before_the_frame_is_malformed() -> None:
    assert "before its frame header" in refused(jpeg(scan_header(), CODED, EOI))


def test_a_jpeg_that_ends_before_its_image_is_refused() -> None:
    assert "before its image begins" in refused(jpeg(frame(), EOI))


@pytest.mark.parametrize("bad", [b"\xff\xe1\0\x01", b"\xff\xe1\0\0", SOI])
def test_a_segment_shorter_than_its_length_field_is_malformed(bad: bytes) -> None:
    assert "malformed segment" in refused(jpeg(bad, whole()[2:]))


def test_a_segment_may_be_empty() -> None:
    assert scan(whole(segment(0xFE, b""))).width_px == 16


def test_a_jpeg_cut_in_a_header_is_cut_short() -> None:
    assert "cut short" in refused(whole()[: 2 + 10])
    assert "cut short" in refused(jpeg(frame()))
    assert "cut short" in refused(SOI)


def test_a_jpeg_may_lack_its_end() -> None:
    data = whole()[:-2]

    assert scan(data).image_spans == ((0, len(data)),)


def test_a_progressive_jpeg_needs_every_coefficient_to_its_last_bit() -> None:
    first, rest = scan_header(last=0) + CODED, scan_header(first=1) + CODED
    start = jpeg(frame(marker=PROGRESSIVE))

    assert scan(start + first + rest).width_px == 16
    assert "cut short" in refused(start + first)
    assert "cut short" in refused(start + first + scan_header(first=2) + CODED)
    assert "cut short" in refused(start + first + scan_header(first=1, last=62) + CODED)
    assert "cut short" in refused(start + first + scan_header(first=1, approximation=0x01) + CODED)
    refined = scan_header(first=1, approximation=0x01) + CODED + scan_header(first=1, approximation=0x10) + CODED
    assert scan(start + first + refined).width_px == 16


def test_every_component_of_a_progressive_jpeg_is_needed() -> None:
    start = jpeg(frame(marker=PROGRESSIVE, parts=YCC_420), scan_header(1, 2, 3, last=0) + CODED)
    scans = [scan_header(each, first=1) + CODED for each in (1, 2, 3)]

    assert scan(start + b"".join(scans)).width_px == 16
    assert "cut short" in refused(start + b"".join(scans[:2]))


def test_a_hundred_scans_are_read_and_no_more() -> None:
    one = scan_header() + b"\x01"

    assert len(scan(jpeg(frame(), one * 100, EOI)).entropy_scans) == 100
    with pytest.raises(ImageError, match="too many scans") as error:
        scan(jpeg(frame(), one * 101, EOI))
    assert error.value.limit == 100


def test_scans_times_pixels_are_bounded() -> None:
    one = scan_header() + b"\x01"

    assert len(scan(jpeg(frame(64_000, 1000), one * 20, EOI)).entropy_scans) == 20
    assert "too many scans" in refused(jpeg(frame(64_000, 1000), one * 21, EOI))


def test_4096_segments_are_walked_and_no_more() -> None:
    empty = segment(0xFE, b"")

    assert scan(whole(*[empty] * (4096 - 3))).width_px == 16
    assert "more than 4096 segments" in refused(whole(*[empty] * (4096 - 2)))


@pytest.mark.parametrize(
    ("parts", "full"),
    [(((1, 1, 1), (2, 1, 1)), True), (((1, 2, 1), (2, 1, 1)), True), (((1, 1, 2), (2, 1, 1)), True), (YCC_420, False)],
)
def test_full_chroma_halves_one_side_at_most(parts: tuple, full: bool) -> None:
    identifiers = [identifier for identifier, _, _ in parts]

    assert scan(jpeg(frame(parts=parts), scan_header(*identifiers), CODED, EOI)).has_full_chroma is full


def test_a_marker_is_found_wherever_a_window_of_the_search_ends() -> None:
    for length in range((1 << 20) - 3, (1 << 20) + 3):
        data = jpeg(frame(), scan_header(), b"\x01" * length, EOI)
        assert scan(data + b"more").image_spans == ((0, len(data)),)
