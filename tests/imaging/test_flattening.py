"""What is transparent is flattened onto one colour: moderation and model see what every viewer shows."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from obscura.imaging import ImageLimits, prepare
from tests.unit.imaging.images import (
    BLUE,
    RED,
    WHITE,
    a_raw_png,
    four_corners,
    opened,
    photograph_pixels,
    saved,
)

BLACK = (0, 0, 0)
SIZES = [(300, 200), (3000, 2000)]


def almost_invisible(size: tuple[int, int]) -> Image.Image:
    """A photograph under an alpha of 2/255."""
    image = photograph_pixels(*size)
    image.putalpha(2)
    return image


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "save",
    [
        lambda image: saved(image, "PNG", compress_level=1),
        lambda image: saved(image, "WEBP", lossless=True, exact=True, method=0),
        lambda image: saved(image, "WEBP", quality=90),
        lambda image: saved(image, "AVIF", speed=10),
        lambda image: saved(image.convert("LA"), "PNG", compress_level=1),
    ],
    ids=["png", "lossless webp", "webp", "avif", "grey png"],
)
def test_a_photograph_under_almost_no_alpha_is_nearly_blank(
    size: tuple[int, int], save: Callable[[Image.Image], bytes]
) -> None:
    data = save(almost_invisible(size))

    on_white = np.asarray(opened(prepare(data).data))
    on_black = np.asarray(opened(prepare(data, limits=ImageLimits(flatten_onto=BLACK)).data))

    assert on_white.min() >= 252
    assert on_black.max() <= 3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_what_is_invisible_does_not_bleed_into_what_is_visible(image_format: str, size: tuple[int, int]) -> None:
    width, height = size
    image = Image.new("RGBA", size, (0, 255, 0, 0))
    image.paste((*RED, 255), (0, 0, width // 2, height))
    options = {"lossless": True, "exact": True, "method": 0} if image_format == "WEBP" else {}

    result = np.asarray(opened(prepare(saved(image, image_format, **options)).data)).astype(int)

    # Between red and white, green never exceeds red, and equals blue.
    assert (result[..., 1] <= result[..., 0] + 1).all()
    assert np.abs(result[..., 1] - result[..., 2]).max() <= 1


@pytest.mark.parametrize("image_format", ["GIF", "WEBP"])
def test_the_first_frame_of_an_animation_is_flattened(image_format: str) -> None:
    frames = [Image.new("RGBA", (60, 40), (*colour, 0)) for colour in (RED, BLUE)]
    for frame in frames:
        frame.paste((*BLUE, 255), (0, 0, 30, 40))
    data = saved(frames[0], image_format, save_all=True, append_images=frames[1:], lossless=True)

    image = opened(prepare(data).data)

    assert image.mode == "RGB"
    assert (image.getpixel((5, 5)), image.getpixel((55, 5))) == (BLUE, WHITE)


def test_a_transparent_colour_of_a_gif_is_flattened() -> None:
    image = four_corners(60, 40).quantize(8)
    data = saved(image, "GIF", transparency=image.getpixel((1, 1)))

    result = opened(prepare(data, limits=ImageLimits(flatten_onto=(1, 2, 3))).data)

    assert result.getpixel((1, 1)) == (1, 2, 3)
    assert result.getpixel((58, 38)) == WHITE


@pytest.mark.parametrize(("colour", "mode"), [(WHITE, "L"), ((9, 9, 9), "L"), (BLUE, "RGB")])
def test_grey_stays_grey_on_a_grey_colour(colour: tuple[int, int, int], mode: str) -> None:
    image = Image.new("LA", (40, 40), (200, 90))

    assert opened(prepare(saved(image, "PNG"), limits=ImageLimits(flatten_onto=colour)).data).mode == mode


def test_an_opaque_alpha_channel_changes_nothing_on_any_colour() -> None:
    image = photograph_pixels(300, 200).convert("L")
    opaque = Image.merge("LA", (image, Image.new("L", image.size, 255)))

    result = opened(prepare(saved(opaque, "PNG"), limits=ImageLimits(flatten_onto=BLUE)).data)

    assert result.mode == "L"


def test_a_transparent_grey_of_sixteen_bits_is_compared_by_all_its_bits() -> None:
    near = [0x8000, 0x8001, 0x80FF, 0x7FFF]
    rows = [b"".join(sample.to_bytes(2) for sample in near for _ in range(4))] * 16

    image = opened(prepare(a_raw_png(16, 16, 16, 0, rows, (b"tRNS", b"\x80\0"))).data)

    assert [image.getpixel((4 * index + 1, 3)) for index in range(4)] == [255, 127, 128, 127]


def test_half_transparent_is_blended() -> None:
    image = Image.new("RGBA", (40, 40), (200, 100, 0, 128))

    assert opened(prepare(saved(image, "PNG")).data).getpixel((3, 3)) == (227, 177, 127)
