"""Every kind of pixel becomes 8-bit L or RGB of the same look."""

import io
import struct
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image

from obscura.imaging import Detail, ImageLimits, prepare
from tests.unit.imaging.images import (
    BLUE,
    WHITE,
    a_photograph,
    a_raw_png,
    an_animation,
    corners,
    four_corners,
    opened,
    photograph_pixels,
    saved,
)

ON_BLUE = ImageLimits(flatten_onto=BLUE)


def on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one).astype(float) - np.asarray(other).astype(float)).mean())


@pytest.mark.parametrize("size", [(200, 100), (3000, 1500)])
def test_a_cmyk_jpeg_keeps_its_colours(size: tuple[int, int]) -> None:
    data = saved(four_corners(*size).convert("CMYK"), "JPEG", quality=95)

    prepared = prepare(data)

    assert prepared.media_type == "image/jpeg"
    assert opened(prepared.data).mode == "RGB"
    assert corners(prepared.data) == ["red", "green", "blue", "white"]


def test_a_ycck_jpeg_is_read_by_its_adobe_marker() -> None:
    cmyk = saved(Image.new("CMYK", (64, 64), (0, 0, 0, 0)), "JPEG")
    at = cmyk.index(b"Adobe")
    data = cmyk[: at + 11] + b"\x02" + cmyk[at + 12 :]

    prepared = prepare(data)

    assert opened(prepared.data).mode == "RGB"


@pytest.mark.parametrize("wide", [100, 3000])
def test_sixteen_bit_grey_is_scaled_not_clipped(wide: int) -> None:
    ramp = np.linspace(0, 65535, wide).astype(np.uint16)
    data = saved(Image.fromarray(np.tile(ramp, (50, 1))), "PNG")

    prepared = prepare(data)

    grey = np.asarray(opened(prepared.data))
    assert grey.ndim == 2
    expected = np.linspace(0, 255, grey.shape[1])
    assert np.abs(grey[grey.shape[0] // 2].astype(float) - expected).max() < 6


def test_sixteen_bit_rgb_becomes_eight_bit() -> None:
    row = b"".join(struct.pack(">HHH", 65535, 32896, 257) for _ in range(40))
    data = a_raw_png(40, 30, 16, 2, [row] * 30)

    prepared = prepare(data)

    assert not prepared.unchanged
    assert opened(prepared.data).getpixel((5, 5)) == (255, 128, 1)


@pytest.mark.parametrize(("depth", "transparent"), [(1, 0), (2, 1), (4, 5), (8, 77), (16, 21845)])
def test_a_transparent_grey_is_transparent_at_every_depth(depth: int, transparent: int) -> None:
    most = (1 << depth) - 1
    rows = []
    for _ in range(16):
        samples = [transparent] * 8 + [most] * 8
        bits = "".join(f"{sample:0{depth}b}" for sample in samples)
        rows.append(int(bits, 2).to_bytes(len(bits) // 8))
    data = a_raw_png(16, 16, depth, 0, rows, (b"tRNS", struct.pack(">H", transparent)))

    image = opened(prepare(data, limits=ON_BLUE).data)

    assert image.mode == "RGB"
    assert image.getpixel((2, 2)) == BLUE
    assert image.getpixel((13, 2)) == WHITE


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_is_transparent(depth: int) -> None:
    unit = "B" if depth == 8 else "H"
    most = (1 << depth) - 1
    row = struct.pack(f">24{unit}", *([most, 0, 0] * 4 + [0, 0, most] * 4))
    data = a_raw_png(8, 8, depth, 2, [row] * 8, (b"tRNS", struct.pack(">HHH", most, 0, 0)))

    image = opened(prepare(data).data)

    assert image.getpixel((1, 1)) == WHITE
    assert image.getpixel((6, 1)) == BLUE


def test_a_palette_becomes_colours() -> None:
    data = saved(four_corners(120, 80).quantize(8), "PNG")

    prepared = prepare(data)

    assert prepared.media_type == "image/png"
    assert opened(prepared.data).mode == "RGB"
    assert corners(prepared.data) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize("wide", [120, 2600])
def test_a_palette_with_transparency_is_flattened_and_warns_of_nothing(wide: int) -> None:
    palette = four_corners(wide, wide // 2).quantize(8)
    palette.info["transparency"] = bytes([0, 128, 255])
    data = saved(palette, "PNG")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared = prepare(data)

    assert opened(prepared.data).mode == "RGB"


def test_one_bit_becomes_grey() -> None:
    data = saved(four_corners(120, 80).convert("1"), "PNG")

    prepared = prepare(data)

    assert opened(prepared.data).mode == "L"


def test_grey_with_opaque_alpha_becomes_grey() -> None:
    image = photograph_pixels(60, 40).convert("LA")

    prepared = prepare(saved(image, "PNG"))

    assert opened(prepared.data).mode == "L"


def test_an_opaque_alpha_channel_is_dropped() -> None:
    image = photograph_pixels(2000, 1000)
    image.putalpha(255)

    prepared = prepare(saved(image, "PNG"))

    assert prepared.media_type == "image/jpeg"
    assert opened(prepared.data).mode == "RGB"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "1"])
def test_resizing_in_strips_equals_resizing_at_once(mode: str) -> None:
    image = photograph_pixels(3000, 2000)
    if mode == "RGBA":
        image.putalpha(image.convert("L"))
        whole = on_white(image)
    elif mode == "LA":
        image = image.convert("LA")
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        whole = on_white(image).convert("L")
    elif mode == "I;16":
        grey = np.asarray(image.convert("L")).astype(np.uint16)
        image, whole = Image.fromarray(grey * 257), Image.fromarray(grey.astype(np.uint8))
    elif mode == "P":
        image = image.convert("P")
        whole = image.convert("RGB")
    else:
        image = image.convert("1")
        whole = image.convert("L")
    reference = whole.resize((1280, 853), Image.Resampling.LANCZOS)

    prepared = prepare(saved(image, "PNG", compress_level=1))

    assert mean_difference(opened(prepared.data), reference) < (0.01 if prepared.media_type == "image/png" else 4)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_becomes_its_first_frame(image_format: str) -> None:
    data = an_animation(60, 40, image_format)

    prepared = prepare(data)

    image = opened(prepared.data)
    assert getattr(image, "n_frames", 1) == 1
    assert corners(prepared.data) == ["red"] * 4
    assert not prepared.unchanged


def test_a_frame_that_reaches_past_the_screen_of_a_gif_enlarges_it() -> None:
    data = bytearray(saved(Image.new("P", (40, 30)), "GIF"))
    data[6:10] = struct.pack("<HH", 20, 20)

    prepared = prepare(bytes(data))

    assert (prepared.width_px, prepared.height_px) == (40, 30)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_a_scaled_decode_looks_like_a_full_one(options: dict[str, Any]) -> None:
    data = a_photograph(3300, 2200, "JPEG", quality=92, **options)
    reference = opened(data).resize((768, 512), Image.Resampling.LANCZOS)

    prepared = prepare(data, Detail.LOW)

    assert (prepared.width_px, prepared.height_px) == (768, 512)
    assert mean_difference(opened(prepared.data), reference) < 4


def test_a_scaled_decode_does_not_shift_the_image() -> None:
    image = Image.new("RGB", (4003, 2001), WHITE)
    image.paste(BLUE, (0, 0, 4003, 1000))
    data = saved(image, "JPEG")
    reference = np.asarray(opened(data).resize((1280, 640), Image.Resampling.LANCZOS)).astype(int)

    result = np.asarray(opened(prepare(data).data)).astype(int)

    assert result.shape == reference.shape
    assert np.abs(result - reference).max() < 60
    assert np.abs(result - reference).mean() < 1


def test_the_steps_have_timings() -> None:
    prepared = prepare(a_photograph(2000, 1000, "JPEG"))
    unchanged = prepare(a_photograph(60, 40, "PNG"))

    assert min(prepared.decode_ms, prepared.resize_ms, prepared.encode_ms) > 0
    assert unchanged.decode_ms > 0
    assert unchanged.resize_ms == unchanged.encode_ms == 0


def test_the_decoder_is_not_handed_the_metadata() -> None:
    data = a_photograph(600, 400, "JPEG", exif=b"Exif\0\0not a TIFF header at all", comment=b"hello")

    prepared = prepare(data)

    assert Image.open(io.BytesIO(prepared.data)).info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
