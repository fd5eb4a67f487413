"""From pixels to the bytes that moderation and model get: a photograph as JPEG, all else as PNG, no metadata."""

import io
import os
import sys
import zlib
from typing import IO

from PIL import Image

from obscura.imaging.container import ImageFormat
from obscura.imaging.formats.jpeg import JPEG
from obscura.imaging.formats.png import PNG

_JPEG_QUALITY = 90
_MAX_FEW_COLOURS = {"RGB": 256, "L": 16}
"""A photograph of full range has tens of thousands of colours, but never more than 256 greys."""
_STRIP_PIXELS = 1 << 18
_HALVED_CHROMA, _FULL_CHROMA = "4:2:0", "4:4:4"


def encode(image: Image.Image, source_format: ImageFormat, *, full_chroma: bool = False) -> tuple[bytes, ImageFormat]:
    """Encode an L or RGB image without metadata; return the bytes and their format.

    A JPEG stays one, with chroma at half resolution as cameras store it, unless ``full_chroma``. Of the other formats,
    an image with few colours becomes a PNG, and the rest, which may be a screenshot with coloured letters, a JPEG with
    full chroma.
    """
    # Pillow's savers pick up profile, comment and transparency of the source from here.
    image.info = {}
    if source_format is JPEG:
        return encode_jpeg(image, full_chroma=full_chroma), JPEG
    if has_few_colours(image):
        return encode_png(image), PNG
    return encode_jpeg(image, full_chroma=True), JPEG


def has_few_colours(image: Image.Image) -> bool:
    """Return whether an image is a drawing rather than a photograph; counts by strips, because most stop it early."""
    max_colours = _MAX_FEW_COLOURS[image.mode]
    colours: set[object] = set()
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        counted = strip.getcolors(max_colours)
        if counted is None:
            return False
        colours.update(colour for _, colour in counted)
        if len(colours) > max_colours:
            return False
    return True


def encode_jpeg(image: Image.Image, quality: int = _JPEG_QUALITY, *, full_chroma: bool) -> bytes:
    """Encode an L or RGB image without metadata, with chroma at full or at half resolution."""
    with _memory_file() as file:
        image.save(file, "JPEG", quality=quality, subsampling=_FULL_CHROMA if full_chroma else _HALVED_CHROMA)
        file.seek(0)
        return file.read()


def encode_png(image: Image.Image, level: int = 1) -> bytes:
    """Encode; at level 1 with run lengths only: zlib's fastest strategy, and small on drawings."""
    file = io.BytesIO()
    strategy = zlib.Z_RLE if level == 1 else zlib.Z_DEFAULT_STRATEGY
    image.save(file, "PNG", compress_level=level, compress_type=strategy)
    return file.getvalue()


def _memory_file() -> IO[bytes]:
    """Open a file in memory; on Linux one with a descriptor.

    Pillow's JPEG encoder holds the interpreter's lock for as long as 64 KiB of output take, 7 ms on a plain 2048 px
    square, unless it writes to a descriptor. ``memfd_create(2)``: anonymous memory, no disk, gone when closed.
    """
    if sys.platform == "linux":
        try:
            return os.fdopen(os.memfd_create("obscura"), "w+b", buffering=0)
        except OSError:
            pass
    return io.BytesIO()
