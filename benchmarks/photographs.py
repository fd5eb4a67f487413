"""The photographs that come with scikit-image, and large ones made of them."""

import io
from collections.abc import Iterator
from pathlib import Path

import skimage
from PIL import Image

NAMES = (
    "retina.jpg",
    "hubble_deep_field.jpg",
    "rocket.jpg",
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "grass.png",
    "gravel.png",
    "brick.png",
    "camera.png",
)
SOFTNESS = 1.6
"""Small photographs are sharper per pixel than what a camera stores at full size: each is enlarged by this first."""


def photographs() -> Iterator[tuple[str, Image.Image]]:
    """Yield the name and the pixels (RGB) of each photograph that is on this disk."""
    folder = Path(skimage.__file__).parent / "data"
    for name in NAMES:
        path = folder / name
        if path.exists():
            with Image.open(path) as image:
                yield name, image.convert("RGB")


def tiled(image: Image.Image, width_px: int, height_px: int) -> Image.Image:
    """Enlarge by ``SOFTNESS`` and tile to this size; every other tile is mirrored so that no edges arise."""
    tile = image.resize((round(image.width * SOFTNESS), round(image.height * SOFTNESS)), Image.Resampling.BICUBIC)
    wall = Image.new("RGB", (width_px, height_px))
    for column, left in enumerate(range(0, width_px, tile.width)):
        for row, top in enumerate(range(0, height_px, tile.height)):
            piece = tile.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if column % 2 else tile
            wall.paste(piece.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if row % 2 else piece, (left, top))
    return wall


def file_of(image: Image.Image, image_format: str, **options: object) -> bytes:
    """Encode an image."""
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()
