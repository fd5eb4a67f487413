"""PDQ hashes: the published vectors, a plain implementation of the paper, and turned and mirrored forms."""

import io
import math
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from obscura.imaging.pdq import pdq_hash, pdq_hash_of_pixels

PUBLISHED = Path(__file__).parents[2] / "fixtures/pdq"


@pytest.mark.parametrize(
    ("name", "published", "quality"),
    [
        ("wee.jpg", "6227401f601ff4ccafcc9fad4b0d95d371a2eb7265a3285234d228ca94deeb2d", 100),
        ("small.jpg", "0007001f003f003f007f00ff00ff00ff01ff01ff01ff03ff03ff03ff03ff03ff", 0),
        ("q0291.jpg", "a0fe94f1e5cc1cc8dd855948498dc9243f7ca27336f036d7f212b74bc103c9a7", 100),
    ],
)
def test_published_images_have_their_published_hashes(name: str, published: str, quality: int) -> None:
    hashed = pdq_hash((PUBLISHED / name).read_bytes())

    assert (hashed.bits ^ int(published, 16)).bit_count() <= 2  # JPEG decoders differ by a level here and there
    assert hashed.quality == quality
    assert str(hashed) == f"{hashed.bits:064x}"


def an_image(width: int, height: int, mode: str, seed: int) -> Image.Image:
    """A smooth image that has something of every frequency."""
    values = random.Random(seed)  # noqa: S311 - the same on every run
    coarse = Image.new(mode, (40, 30))
    pixels: Any = [tuple(values.randrange(256) for _ in mode) for _ in range(1200)]
    coarse.putdata(pixels if mode == "RGB" else [pixel[0] for pixel in pixels])
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def box_filtered(values: list[float], window: int) -> list[float]:
    """One pass of the reference's box filter, which leans to the right if the window is even."""
    left, right = (window - 1) // 2, window // 2
    return [
        math.fsum(cut) / len(cut)
        for place in range(len(values))
        if (cut := values[max(0, place - left) : place + right + 1])
    ]


def plain_hash(image: Image.Image) -> int:
    """PDQ by the paper: luma, two box passes along each axis, 64 x 64 samples, cosine transform, median."""
    width, height = image.size
    rgb: Any = image.convert("RGB")
    luma = [
        [
            0.299 * red + 0.587 * green + 0.114 * blue
            for red, green, blue in (rgb.getpixel((x, y)) for x in range(width))
        ]
        for y in range(height)
    ]
    for _ in range(2):
        luma = [box_filtered(row, (width + 127) // 128) for row in luma]
        columns = [box_filtered(list(column), (height + 127) // 128) for column in zip(*luma, strict=True)]
        luma = [list(row) for row in zip(*columns, strict=True)]
    samples = [[luma[int((i + 0.5) * height / 64)][int((j + 0.5) * width / 64)] for j in range(64)] for i in range(64)]
    cosines = [[math.cos(math.pi / 128 * k * (2 * n + 1)) for n in range(64)] for k in range(1, 17)]
    half = [[sum(c * samples[y][x] for y, c in enumerate(row)) for x in range(64)] for row in cosines]
    values = [sum(c * row[x] for x, c in enumerate(cosine)) for row in half for cosine in cosines]
    median = sorted(values)[127]
    return sum(1 << place for place, value in enumerate(values) if value > median)


@pytest.mark.parametrize(
    ("width", "height", "mode"), [(64, 64, "L"), (5, 9, "RGB"), (130, 40, "RGB"), (200, 257, "L"), (300, 129, "RGB")]
)
def test_a_hash_is_what_the_paper_computes(width: int, height: int, mode: str) -> None:
    image = an_image(width, height, mode, seed=width)

    assert (pdq_hash_of_pixels(image).bits ^ plain_hash(image)).bit_count() <= 2  # rounding beside the median


@pytest.mark.parametrize(
    "turned",
    [
        *(Image.Transpose(number) for number in range(7)),
    ],
    ids=lambda transpose: transpose.name.lower(),
)
def test_a_turned_or_mirrored_image_has_one_of_the_eight_hashes(turned: Image.Transpose) -> None:
    image = an_image(320, 64, "RGB", seed=1)  # sides whose samples lie evenly

    forms = pdq_hash_of_pixels(image, dihedral=True).forms

    other = pdq_hash_of_pixels(image.transpose(turned)).bits
    assert len(set(forms)) == 8
    assert min((form ^ other).bit_count() for form in forms) <= 4


def test_an_image_without_detail_has_a_low_quality_and_a_tiny_one_none() -> None:
    assert pdq_hash_of_pixels(Image.new("RGB", (200, 200), "red")).quality == 0
    assert pdq_hash_of_pixels(ImageOps.expand(Image.new("L", (2, 2)), 1, 255)).bits == 0


@pytest.mark.parametrize("quality", [50, 75, 90])
def test_a_smaller_and_coarser_copy_is_close(quality: int) -> None:
    image = an_image(900, 700, "RGB", seed=3)
    copy = io.BytesIO()
    image.resize((450, 350)).save(copy, "JPEG", quality=quality)

    assert (pdq_hash(copy.getvalue()).bits ^ pdq_hash_of_pixels(image).bits).bit_count() <= 10
