"""Obscura's image room: bytes in, bytes out; an image is refused, kept, or made upright, small and bare.

No I/O, no HTTP, no AWS; imports the standard library and Pillow only. :func:`prepare` reads as its own table of
contents: ``sniffing`` → a walk of the container (``jpeg_walk``, ``png_walk``, ``gif_walk``, ``webp_walk``) → ``limits``
→ ``decoding`` → ``resizing`` → ``encoding``. What an image costs a model is counted in ``tokens``.
"""

from obscura.imaging.errors import ImageError
from obscura.imaging.limits import Detail, ImageLimits
from obscura.imaging.prepare import PreparedImage, prepare, warm_up
from obscura.imaging.tokens import TokenProfile, image_tokens

__all__ = [
    "Detail",
    "ImageError",
    "ImageLimits",
    "PreparedImage",
    "TokenProfile",
    "image_tokens",
    "prepare",
    "warm_up",
]
