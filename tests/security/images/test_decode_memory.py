"""What a decode takes is known from the header: never less than is measured, and past the limit nothing is decoded."""

from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image

from obscura.imaging import Detail, ImageError, ImageLimits, prepare
from obscura.imaging.decode_memory import MAX_DECODE_BYTES, decode_bytes
from obscura.imaging.prepare import scan
from obscura.imaging.resize import decode_scale, target_size
from tests.security.images import format_bombs
from tests.security.images.measured import prepared_in_a_child
from tests.unit.imaging.images import a_raw_png, saved

MIB = 1024 * 1024
INTERPRETER_MIB = 44
"""What the measuring process has of its own; it is up to 40 MiB, and its heap is not without holes."""
SIDE = 3000


def needed_bytes(data: bytes, detail: Detail = Detail.AUTO) -> int:
    info = scan(data)
    size = target_size(info.width_px, info.height_px, detail.longest_side_px, 200)
    scale = decode_scale(info, size) if info.source_format.decodes_scaled else 1
    return decode_bytes(info, len(data), size, scale)


def plain(mode: str, image_format: str, side: int = SIDE, **options: object) -> Callable[[], bytes]:
    return lambda: saved(Image.new(mode, (side, side), 90 if len(mode) == 1 else None), image_format, **options)


def noise() -> bytes:
    return saved(Image.effect_noise((2400, 2400), 90).convert("RGB"), "WEBP", quality=50, method=0)


FILES: dict[str, Callable[[], bytes]] = {
    "JPEG": plain("RGB", "JPEG"),
    "JPEG, progressive 4:2:0": plain("RGB", "JPEG", progressive=True),
    "JPEG, progressive 4:4:4": plain("RGB", "JPEG", progressive=True, subsampling=0),
    "JPEG, progressive CMYK": plain("CMYK", "JPEG", progressive=True),
    "PNG": plain("RGB", "PNG", compress_level=1),
    "PNG with alpha": plain("RGBA", "PNG", compress_level=1),
    "PNG, grey of 16 bits": plain("I;16", "PNG", compress_level=1),
    "PNG of a palette": plain("P", "PNG", compress_level=1),
    "GIF": plain("P", "GIF"),
    "WEBP": noise,
    "WEBP with alpha": plain("RGBA", "WEBP", lossless=True, method=0),
    "BMP of a palette": plain("P", "BMP", side=3000),
    "BMP": plain("RGB", "BMP", side=2200),
    "TIFF": plain("RGBA", "TIFF", compression="tiff_adobe_deflate"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_decode_takes_no_more_than_its_header_says(name: str) -> None:
    data = FILES[name]()

    measured = prepared_in_a_child(data)

    assert measured.code is None
    assert measured.peak_mb <= needed_bytes(data) / MIB + INTERPRETER_MIB


@pytest.mark.parametrize("name", format_bombs.heics_at_the_limits())
def test_a_heic_takes_no_more_than_its_header_says(name: str) -> None:
    data = format_bombs.heics_at_the_limits()[name]

    assert prepared_in_a_child(data).peak_mb <= needed_bytes(data) / MIB + INTERPRETER_MIB + 15  # libheif itself


def enlarged(jpeg: bytes, width_px: int, height_px: int) -> bytes:
    """A JPEG whose frame header states other sides; its scan data are those of the smaller image."""
    at = next(at for at in range(2, len(jpeg)) if jpeg[at] == 0xFF and jpeg[at + 1] in {0xC0, 0xC2})
    return jpeg[: at + 5] + height_px.to_bytes(2) + width_px.to_bytes(2) + jpeg[at + 9 :]


@pytest.mark.parametrize(
    ("megapixels", "mode", "options", "fits"),
    [
        (64, "RGB", {}, True),
        (64, "RGB", {"subsampling": 0}, True),
        (64, "CMYK", {}, True),
        (64, "RGB", {"progressive": True}, True),
        (64, "RGB", {"progressive": True, "subsampling": 0}, True),
        (48, "CMYK", {"progressive": True}, True),
        (64, "CMYK", {"progressive": True}, False),
    ],
)
def test_what_a_jpeg_of_many_pixels_needs(megapixels: int, mode: str, options: dict[str, object], fits: bool) -> None:
    side = int((megapixels * 1e6) ** 0.5)
    data = enlarged(saved(Image.new(mode, (64, 64)), "JPEG", **options), side, side)

    assert (needed_bytes(data) <= MAX_DECODE_BYTES) is fits


def test_a_progressive_cmyk_jpeg_of_64_megapixels_is_refused_before_any_decode() -> None:
    data = enlarged(saved(Image.new("CMYK", (64, 64)), "JPEG", progressive=True), 8000, 8000)

    measured = prepared_in_a_child(data)

    assert measured.code == "image_too_many_pixels"
    assert measured.peak_mb < 60
    with pytest.raises(ImageError, match=r"8000 x 8000 px.*the limit is 452984832\. Save it as a baseline JPEG in RGB"):
        prepare(data)


@pytest.mark.parametrize(
    ("megapixels", "depth", "colour_type", "code"),
    [(64, 8, 6, None), (35, 16, 6, None), (64, 16, 6, "image_too_many_pixels"), (64, 16, 0, None)],
)
def test_a_png_of_16_bits_may_have_fewer_pixels(
    megapixels: int, depth: int, colour_type: int, code: str | None
) -> None:
    side = int((megapixels * 1e6) ** 0.5)
    data = a_raw_png(side, side, depth, colour_type, [])

    with pytest.raises(ImageError) as refused:
        prepare(data)

    assert refused.value.code == (code or "invalid_image")  # those that are not refused have no pixels to decode


def test_a_deployment_with_less_memory_refuses_what_it_cannot_decode() -> None:
    data = BytesIO()
    Image.new("RGB", (3000, 3000)).save(data, "PNG", compress_level=1)

    with pytest.raises(ImageError, match=r"the limit is 33554432\. Send it as a baseline JPEG, or scale it down"):
        prepare(data.getvalue(), limits=ImageLimits(decode_bytes=32 * MIB))
