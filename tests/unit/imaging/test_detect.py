import pytest

from obscura.imaging import ImageError, prepare
from tests.unit.imaging.images import FORMATS, a_photo, a_plain

REFUSED_BY_NAME = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "HEIF": b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
    "TIFF": b"II*\0\x08\0\0\0",
    "BMP": b"BM\x46\0\0\0",
    "ICO": b"\0\0\1\0\1\0",
    "PSD": b"8BPS\0\1",
    "PDF": b"%PDF-1.7\n",
    "JPEG XL": b"\xff\x0a\0\0",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "HTML": b"<!DOCTYPE html><html><body>404</body></html>",
    "Video": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
}


@pytest.mark.parametrize("name", REFUSED_BY_NAME)
def test_a_format_that_is_not_taken_is_refused_by_name_with_the_way_out(name: str) -> None:
    data = REFUSED_BY_NAME[name] + bytes(100)

    with pytest.raises(ImageError) as refused:
        prepare(data)

    assert refused.value.code == "unsupported_image_format"
    assert name in refused.value.message
    assert "Convert it to PNG, JPEG, WEBP or GIF" in refused.value.message


@pytest.mark.parametrize("image_format", ["AVIF", "TIFF", "BMP", "ICO", "JPEG2000", "PPM"])
def test_pillow_is_never_asked_about_its_other_formats(image_format: str) -> None:
    data = a_plain(16, 16, image_format)

    with pytest.raises(ImageError) as refused:
        prepare(data)

    assert refused.value.code == "unsupported_image_format"


def test_an_avif_that_leads_with_the_structural_brand_of_heif_is_called_avif() -> None:
    data = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(100)

    with pytest.raises(ImageError, match="AVIF"):
        prepare(data)


@pytest.mark.parametrize("data", [b"hello, world", b"\x89PNG", b"RIFF\0\0\0\0WAVEfmt ", b"GIF88a" + bytes(30)])
def test_unknown_bytes_are_refused_with_the_names_of_the_four_formats(data: bytes) -> None:
    with pytest.raises(ImageError) as refused:
        prepare(data)

    assert refused.value.code == "unsupported_image_format"
    assert "PNG, JPEG, WEBP or GIF" in refused.value.message


def test_nothing_is_an_invalid_image() -> None:
    with pytest.raises(ImageError) as refused:
        prepare(b"")

    assert refused.value.code == "invalid_image"


@pytest.mark.parametrize("image_format", FORMATS)
def test_each_of_the_four_formats_is_known_by_its_bytes(image_format: str) -> None:
    prepared = prepare(a_photo(60, 40, image_format))

    assert prepared.source_format == image_format
    assert (prepared.width_px, prepared.height_px) == (60, 40)


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_any_buffer_of_bytes_will_do(buffer: type) -> None:
    data = a_photo(60, 40, "JPEG")

    prepared = prepare(buffer(data))

    assert prepared.data == data
    assert prepared.kept


def test_bytes_that_are_kept_are_not_copied() -> None:
    data = a_photo(60, 40, "PNG")

    assert prepare(data).data is data
