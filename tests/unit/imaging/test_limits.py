import struct

import pytest
from PIL import Image

from obscura.imaging import Detail, ImageError, ImageLimits, prepare
from obscura.imaging.formats.webp import WEBP
from obscura.imaging.limits import check_raw_bytes
from tests.unit.imaging.images import FORMATS, a_photograph, a_plain, png_chunk, png_header, saved


def error_of(data: bytes, limits: ImageLimits | None = None) -> ImageError:
    with pytest.raises(ImageError) as error:
        prepare(data, Detail.AUTO, limits or ImageLimits())
    return error.value


@pytest.mark.parametrize("image_format", FORMATS)
def test_raw_bytes_exactly_at_the_limit_pass_and_one_past_does_not(image_format: str) -> None:
    data = a_photograph(60, 40, image_format)

    prepare(data, limits=ImageLimits(raw_bytes=len(data)))
    error = error_of(data, ImageLimits(raw_bytes=len(data) - 1))

    assert error.code == "image_too_large"
    assert error.limit == len(data) - 1
    assert str(error.limit) in error.message


def test_a_buffer_of_wide_items_is_measured_in_bytes() -> None:
    data = memoryview(a_photograph(60, 40, "PNG").ljust(20_000, b"\0")).cast("Q")

    with pytest.raises(ImageError) as error:
        prepare(data, limits=ImageLimits(raw_bytes=10_000))

    assert error.value.code == "image_too_large"


@pytest.mark.parametrize("image_format", FORMATS)
def test_pixels_exactly_at_the_limit_pass_and_one_past_does_not(image_format: str) -> None:
    data = a_photograph(60, 40, image_format)

    prepare(data, limits=ImageLimits(pixels=2400))
    error = error_of(data, ImageLimits(pixels=2399))

    assert error.code == "image_too_many_pixels"
    assert error.limit == 2399
    assert "60 x 40" in error.message


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("upright", [True, False])
def test_an_aspect_ratio_exactly_at_the_limit_passes_and_one_past_does_not(image_format: str, upright: bool) -> None:
    within, past = (2, 400), (2, 401)
    if not upright:
        within, past = within[::-1], past[::-1]

    prepared = prepare(a_plain(*within, image_format))
    error = error_of(a_plain(*past, image_format))

    assert (prepared.width_px, prepared.height_px) == within
    assert error.code == "unsupported_image_dimensions"
    assert error.limit == 200


def test_the_smaller_side_of_a_long_image_is_never_lost() -> None:
    prepared = prepare(a_plain(20_000, 100, "PNG"), Detail.LOW)

    assert (prepared.width_px, prepared.height_px) == (768, 4)


def test_a_webp_may_have_fewer_pixels_than_other_formats() -> None:
    data = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (4999).to_bytes(3, "little") + (5000).to_bytes(3, "little")
    data += b"VP8L" + struct.pack("<I", 6) + bytes(6)
    data = b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data

    error = error_of(data)

    assert error.code == "image_too_many_pixels"
    assert error.limit == WEBP.max_pixels
    assert "JPEG or PNG" in error.message


def test_more_pixels_than_pillows_own_limit_are_a_matter_of_configuration() -> None:
    image = saved(Image.new("1", (14_000, 14_000)), "PNG")

    prepared = prepare(image, Detail.LOW, ImageLimits(pixels=200_000_000))

    assert (prepared.width_px, prepared.height_px) == (768, 768)


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (0, 0)])
def test_a_side_of_zero_is_an_invalid_image(size: tuple[int, int]) -> None:
    png = png_header(*size) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")
    gif = bytearray(a_plain(8, 8, "GIF"))
    at = gif.index(b",", 13)
    gif[6:10] = struct.pack("<HH", *size)
    gif[at + 5 : at + 9] = struct.pack("<HH", *size)

    assert error_of(png).code == "invalid_image"
    assert error_of(bytes(gif)).code == "invalid_image"


def test_the_limits_are_those_of_the_documents_unless_the_operator_sets_others() -> None:
    assert ImageLimits() == ImageLimits(15_728_640, 64_000_000, 200, (255, 255, 255))
    assert [detail.longest_side_px for detail in Detail] == [768, 1280, 2048]


def test_no_bytes_are_an_empty_image_and_one_byte_is_not() -> None:
    with pytest.raises(ImageError, match="0 bytes") as error:
        check_raw_bytes(0, ImageLimits())
    assert error.value.code == "invalid_image"
    check_raw_bytes(1, ImageLimits())
