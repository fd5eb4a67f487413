"""What a header says is what a decode finds: the size, the tokens, the pixels, and every refusal but its own."""

from dataclasses import replace

import pytest

from obscura.imaging import Detail, ImageError, ImageLimits, TokenProfile, image_tokens, inspect, prepare
from obscura.imaging.decode import decode
from tests.unit.imaging.images import a_photograph, a_plain, exif, one_of_each, photograph_pixels, saved

LIMITS = ImageLimits()
FILES = one_of_each()


def counts(size: tuple[int, int], detail: Detail) -> list[int]:
    return [image_tokens(*size, profile, detail, 1.5) for profile in TokenProfile]


@pytest.mark.parametrize("name", FILES)
def test_the_size_that_a_header_says_is_the_prepared_one(name: str) -> None:
    header, prepared = inspect(FILES[name], Detail.LOW, LIMITS), prepare(FILES[name], Detail.LOW, LIMITS)

    assert header.prepared_size == (prepared.width_px, prepared.height_px)
    assert (header.source_format, header.source_bytes) == (prepared.source_format, prepared.source_bytes)
    assert (header.info.width_px, header.info.height_px) == (prepared.source_width_px, prepared.source_height_px)


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize(("size", "orientation"), [((2100, 1333), 1), ((1281, 77), 6), ((700, 1600), 8), ((31, 29), 3)])
def test_tokens_counted_by_the_header_are_those_of_the_prepared_image(
    size: tuple[int, int], orientation: int, detail: Detail
) -> None:
    data = a_photograph(*size, "JPEG", exif=exif(orientation))

    header, prepared = inspect(data, detail, LIMITS), prepare(data, detail, LIMITS)

    assert header.info.orientation == orientation
    assert counts(header.prepared_size, detail) == counts((prepared.width_px, prepared.height_px), detail)


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("size", [(4033, 3025), (2945, 2001), (1472, 999), (769, 11)])
def test_the_pixels_of_a_jpeg_are_those_that_are_decoded(size: tuple[int, int], detail: Detail) -> None:
    data = a_plain(*size, "JPEG")

    header = inspect(data, detail, LIMITS)

    decoded = decode(data, header.info, header.scale)
    assert header.decode_pixels == decoded.width * decoded.height


@pytest.mark.parametrize("name", [name for name in FILES if "jpeg" not in name])
def test_other_formats_are_decoded_whole(name: str) -> None:
    header = inspect(FILES[name], Detail.LOW, LIMITS)

    assert header.decode_pixels == header.info.width_px * header.info.height_px


def test_each_further_scan_of_a_jpeg_counts_a_thirty_second() -> None:
    image = photograph_pixels(400, 400).resize((3200, 3200))
    one, ten = (saved(image, "JPEG", progressive=progressive) for progressive in (False, True))

    plain, progressive = (inspect(data, Detail.AUTO, LIMITS) for data in (one, ten))

    scans = len(progressive.info.entropy_scans)
    assert scans == 10
    assert progressive.decode_pixels == plain.decode_pixels + (scans - 1) * 3200 * 3200 // 32


@pytest.mark.parametrize("name", FILES)
def test_a_header_is_used_for_the_decode_or_read_again(name: str) -> None:
    header = inspect(FILES[name], Detail.LOW, LIMITS)
    light = replace(header, info=replace(header.info, image_spans=(), entropy_scans=()))

    prepared = prepare(FILES[name], Detail.LOW, LIMITS)

    assert prepare(FILES[name], Detail.LOW, LIMITS, header).data == prepared.data
    assert not light.is_whole
    assert prepare(FILES[name], Detail.LOW, LIMITS, light).data == prepared.data


def test_a_held_header_has_no_copy_of_the_file_and_the_same_numbers() -> None:
    data = a_photograph(900, 700, "JPEG", restart_marker_blocks=1)
    header = inspect(data, Detail.AUTO, LIMITS)

    held = header.to_hold()

    assert not held.is_whole
    assert (held.decode_pixels, held.prepared_size) == (header.decode_pixels, header.prepared_size)
    assert (held.source_format, held.info.bit_depth) == ("JPEG", 8)
    small = inspect(FILES["heic"], Detail.AUTO, LIMITS)
    assert small.to_hold() is small


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (ImageLimits(raw_bytes=100), "image_too_large"),
        (ImageLimits(pixels=100), "image_too_many_pixels"),
        (ImageLimits(aspect_ratio=1), "unsupported_image_dimensions"),
    ],
)
def test_every_limit_is_checked_by_the_header(limits: ImageLimits, code: str) -> None:
    with pytest.raises(ImageError) as refused:
        inspect(FILES["png"], Detail.AUTO, limits)

    assert refused.value.code == code
