"""Image preparation: bytes in, bytes out; an image is rejected, kept, or made upright, small and bare.

No I/O, no HTTP, no AWS; imports the standard library and Pillow only. :func:`prepare` runs the steps in order:
``detect`` → the scan of the format (``formats``) → ``limits`` → ``decode`` → ``resize`` → ``encode``; :func:`inspect`
runs the first three, which decode nothing. ``tokens`` counts what an image costs a model.
"""

from obscura.imaging.errors import ImageError
from obscura.imaging.fit import OutputLimits
from obscura.imaging.formats import SUPPORTED_FORMATS
from obscura.imaging.header import ImageHeader, inspect
from obscura.imaging.limits import Detail, ImageLimits
from obscura.imaging.prepare import PreparedImage, prepare, warm_up
from obscura.imaging.tokens import TokenProfile, image_tokens

__all__ = [
    "SUPPORTED_FORMATS",
    "Detail",
    "ImageError",
    "ImageHeader",
    "ImageLimits",
    "OutputLimits",
    "PreparedImage",
    "TokenProfile",
    "image_tokens",
    "inspect",
    "prepare",
    "warm_up",
]
