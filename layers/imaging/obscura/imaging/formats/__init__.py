"""The formats that are accepted: one module each, with a bounded walk of its container before any decode.

Adding one takes a module that defines an ``ImageFormat``, and its name here. Detection, scans, readers, limits, media
types and the sentences that name the formats derive from this list.
"""

from obscura.imaging.container import ImageFormat
from obscura.imaging.formats.avif import AVIF
from obscura.imaging.formats.bmp import BMP
from obscura.imaging.formats.gif import GIF
from obscura.imaging.formats.heic import HEIC
from obscura.imaging.formats.jpeg import JPEG
from obscura.imaging.formats.png import PNG
from obscura.imaging.formats.tiff import TIFF
from obscura.imaging.formats.webp import WEBP

FORMATS: dict[str, ImageFormat] = {known.name: known for known in (PNG, JPEG, WEBP, GIF, AVIF, HEIC, TIFF, BMP)}

_NAMES = tuple(name for name, image_format in FORMATS.items() if image_format.is_available)
SUPPORTED_FORMATS = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
"""For sentences: "PNG, JPEG, WEBP, GIF, AVIF, HEIC, TIFF or BMP", without what this deployment cannot decode."""
