import pytest

from obscura.imaging import SUPPORTED_FORMATS, ImageError, prepare
from obscura.imaging.formats import FORMATS as FORMATS_BY_NAME
from tests.unit.imaging import heic_files
from tests.unit.imaging.avif_files import an_avif, coded
from tests.unit.imaging.heic_files import a_heic
from tests.unit.imaging.images import FORMATS, a_photograph, a_plain, four_corners

UNSUPPORTED = {
    "BigTIFF": b"II+\0\x08\0\0\0",
    "ICO": b"\0\0\1\0\1\0",
    "PSD": b"8BPS\0\1",
    "PDF": b"%PDF-1.7\n",
    "JPEG XL": b"\xff\x0a\0\0",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "HTML": b"<!DOCTYPE html><html><body>404</body></html>",
    "Video": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_an_unsupported_format_is_named_with_the_supported_ones(name: str) -> None:
    data = UNSUPPORTED[name] + bytes(100)

    with pytest.raises(ImageError) as error:
        prepare(data)

    assert error.value.code == "unsupported_image_format"
    assert name in error.value.message
    assert f"Convert it to {SUPPORTED_FORMATS}" in error.value.message


@pytest.mark.parametrize("image_format", ["ICO", "JPEG2000", "PPM"])
def test_formats_that_only_pillow_supports_are_unsupported(image_format: str) -> None:
    data = a_plain(16, 16, image_format)

    with pytest.raises(ImageError) as error:
        prepare(data)

    assert error.value.code == "unsupported_image_format"


@pytest.mark.parametrize("brands", [b"avif\0\0\0\0avifmif1miaf", b"mif1\0\0\0\0mif1avifmiaf"])
def test_an_avif_is_detected_by_any_of_its_brands(brands: bytes) -> None:
    data = an_avif(coded(1, four_corners(64, 64)), brands=brands)

    assert prepare(data).source_format == "AVIF"


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic", b"heix\0\0\0\0heixmiaf"])
def test_a_heic_is_detected_by_any_of_its_brands(brands: bytes) -> None:
    assert prepare(a_heic(heic_files.coded(1, "quarters"), brands=brands)).source_format == "HEIC"


def test_a_file_of_both_brands_is_an_avif() -> None:
    data = an_avif(coded(1, four_corners(64, 64)), brands=b"mif1\0\0\0\0mif1heicavif")

    assert prepare(data).source_format == "AVIF"


def test_the_supported_formats_are_named_in_one_sentence() -> None:
    assert SUPPORTED_FORMATS == "PNG, JPEG, WEBP, GIF, AVIF, HEIC, TIFF or BMP"
    assert {each.media_type for each in FORMATS_BY_NAME.values()} == {
        f"image/{name}" for name in ("png", "jpeg", "webp", "gif", "avif", "heic", "tiff", "bmp")
    }


@pytest.mark.parametrize("data", [b"hello, world", b"\x89PNG", b"RIFF\0\0\0\0WAVEfmt ", b"GIF88a" + bytes(30)])
def test_unknown_bytes_are_an_error_that_names_the_supported_formats(data: bytes) -> None:
    with pytest.raises(ImageError) as error:
        prepare(data)

    assert error.value.code == "unsupported_image_format"
    assert SUPPORTED_FORMATS in error.value.message


def test_nothing_is_an_invalid_image() -> None:
    with pytest.raises(ImageError) as error:
        prepare(b"")

    assert error.value.code == "invalid_image"


@pytest.mark.parametrize("image_format", FORMATS)
def test_each_format_is_detected_by_its_bytes(image_format: str) -> None:
    prepared = prepare(a_photograph(60, 40, image_format))

    assert prepared.source_format == image_format
    assert prepared.source_media_type == f"image/{image_format.lower()}"
    assert (prepared.width_px, prepared.height_px) == (60, 40)


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_any_buffer_of_bytes_is_accepted(buffer: type) -> None:
    data = a_photograph(60, 40, "PNG")

    prepared = prepare(buffer(data))

    assert prepared.data == data
    assert prepared.unchanged


def test_unchanged_bytes_are_not_copied() -> None:
    data = a_photograph(60, 40, "PNG")

    assert prepare(data).data is data
