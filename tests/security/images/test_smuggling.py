"""Data hidden in or after an image never reaches moderation or the model."""

import io
import zipfile

import pytest
from PIL import Image

from obscura.imaging import ImageError, prepare
from tests.unit.imaging.images import (
    FORMATS,
    a_photograph,
    a_plain,
    exif,
    photograph_pixels,
    png_chunk,
    saved,
    with_jpeg_segment,
)

SECRET = b"<script>alert('gps=52.5,13.4')</script>"


def an_archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("payload.js", SECRET)
    return file.getvalue()


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("trailing", [SECRET, an_archive(), b"\0"], ids=["script", "archive", "one byte"])
def test_bytes_after_an_image_do_not_survive(image_format: str, trailing: bytes) -> None:
    data = a_photograph(300, 200, image_format) + trailing

    prepared = prepare(data)

    assert not prepared.unchanged
    assert SECRET not in prepared.data
    assert b"payload.js" not in prepared.data


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_second_image_after_the_first_does_not_survive(image_format: str) -> None:
    data = a_plain(300, 200, image_format) + a_photograph(500, 500, image_format)

    prepared = prepare(data)

    assert (prepared.width_px, prepared.height_px) == (300, 200)
    assert len(prepared.data) < 20_000


def test_a_gif_that_is_also_a_script_does_not_survive() -> None:
    gif = a_plain(0x2F2A & 0xFF, 100, "GIF")
    at = gif.index(b"\x2c", 13)
    data = gif[:at] + b"\x21\xfe" + bytes([len(SECRET)]) + SECRET + b"\0" + gif[at:] + b"*/=1;" + SECRET

    prepared = prepare(data)

    assert prepared.media_type == "image/png"
    assert SECRET not in prepared.data


@pytest.mark.parametrize("marker", [*range(0xE1, 0xF0), 0xFE])
def test_no_application_segment_or_comment_survives(marker: int) -> None:
    data = with_jpeg_segment(a_photograph(300, 200, "JPEG"), marker, SECRET)

    assert SECRET not in prepare(data).data


@pytest.mark.parametrize("kind", [b"tEXt", b"iTXt", b"eXIf", b"prVt", b"tIME", b"sPLT", b"pHYs", b"sRGB", b"gAMA"])
@pytest.mark.parametrize("early", [True, False])
def test_no_ancillary_chunk_carries_anything_through(kind: bytes, early: bool) -> None:
    png = a_photograph(300, 200, "PNG")
    at = 33 if early else len(png) - 12
    data = png[:at] + png_chunk(kind, b"Comment\0" + SECRET) + png[at:]

    assert SECRET not in prepare(data).data


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_gps_coordinates_and_camera_names_do_not_survive(image_format: str) -> None:
    block = exif(1)
    block[0x010F] = "Maker of the camera"
    block.get_ifd(0x8825)[1] = "N"
    options = {"exif": block, "icc_profile": SECRET} | ({"xmp": SECRET} if image_format == "WEBP" else {})
    data = saved(photograph_pixels(300, 200), image_format, **options)

    prepared = prepare(data)

    assert b"Maker of the camera" not in prepared.data
    assert SECRET not in prepared.data
    assert not Image.open(io.BytesIO(prepared.data)).getexif()


def test_a_gamma_that_decoders_read_differently_does_not_survive() -> None:
    png = a_photograph(300, 200, "PNG")
    data = png[:33] + png_chunk(b"gAMA", (2300).to_bytes(4)) + png[33:]

    assert b"gAMA" not in prepare(data).data


def test_an_error_never_echoes_the_file() -> None:
    for data in (SECRET, b"BM" + SECRET, a_photograph(60, 40, "PNG")[:40] + SECRET, b"\xff\xd8\xff" + SECRET):
        with pytest.raises(ImageError) as error:
            prepare(data)
        assert b"script" not in error.value.message.encode()


def test_a_jpeg_that_says_gif_is_what_its_bytes_say() -> None:
    assert prepare(a_photograph(60, 40, "JPEG")).media_type == "image/jpeg"


@pytest.mark.parametrize("prefix", [b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x20\0\0\0WEBPVP8 "])
def test_a_signature_alone_is_not_an_image(prefix: bytes) -> None:
    for rest in (b"", bytes(64), b"\xff" * 64, SECRET):
        with pytest.raises(ImageError) as error:
            prepare(prefix + rest)
        assert error.value.code == "invalid_image"
