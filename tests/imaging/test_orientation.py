import struct

import pytest
from PIL import Image, ImageOps

from obscura.imaging import Detail, prepare
from obscura.imaging.container import exif_orientation
from tests.unit.imaging.images import corners, exif, four_corners, opened, saved, with_jpeg_segment, with_png_chunk

UPRIGHT_CORNERS = ["red", "green", "blue", "white"]
INVERSE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def as_a_camera_stores_it(upright: Image.Image, orientation: int) -> Image.Image:
    turn = INVERSE[orientation]
    return upright if turn is None else upright.transpose(turn)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("size", [(120, 80), (3000, 1000)])
def test_every_orientation_comes_out_upright(orientation: int, image_format: str, size: tuple[int, int]) -> None:
    stored = as_a_camera_stores_it(four_corners(*size), orientation)
    data = saved(stored, image_format, exif=exif(orientation))

    prepared = prepare(data, Detail.LOW)

    assert corners(prepared.data) == UPRIGHT_CORNERS
    assert (prepared.width_px, prepared.height_px) == (size if size == (120, 80) else (768, 256))
    assert opened(prepared.data).size == (prepared.width_px, prepared.height_px)
    assert (prepared.source_width_px, prepared.source_height_px) == stored.size
    assert not opened(prepared.data).getexif()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "AVIF"])
def test_the_corners_agree_with_pillows_own_transpose(orientation: int, image_format: str) -> None:
    data = saved(four_corners(90, 60), image_format, exif=exif(orientation))
    reference = ImageOps.exif_transpose(opened(data))

    prepared = prepare(data)

    assert corners(prepared.data) == corners(saved(reference, "PNG"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("value", "means"), [(0, 1), (1, 1), (6, 6), (8, 8), (9, 1), (65535, 1)])
def test_an_orientation_outside_one_to_eight_is_upright(order: str, value: int, means: int) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    block = mark + struct.pack(order + "IHHHIHH", 8, 1, 0x0112, 3, 1, value, 0)

    assert exif_orientation(block) == means


@pytest.mark.parametrize(
    "block", [b"", b"II", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + bytes(30)]
)
def test_a_damaged_exif_block_is_an_upright_image(block: bytes) -> None:
    jpeg = with_jpeg_segment(saved(four_corners(60, 40), "JPEG"), 0xE1, b"Exif\0\0" + block)
    png = with_png_chunk(saved(four_corners(60, 40), "PNG"), b"eXIf", block)

    assert corners(prepare(jpeg).data) == UPRIGHT_CORNERS
    assert corners(prepare(png).data) == UPRIGHT_CORNERS


def test_the_first_of_two_exif_blocks_counts() -> None:
    turned = as_a_camera_stores_it(four_corners(120, 80), 6)
    data = saved(turned, "JPEG", exif=exif(6))
    second = data.index(b"\xff\xdb")
    block = b"Exif\0\0" + exif(3).tobytes().removeprefix(b"Exif\0\0")
    data = data[:second] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[second:]

    assert corners(prepare(data).data) == UPRIGHT_CORNERS
