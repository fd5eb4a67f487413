"""The formats that are accepted: one module each, with a bounded walk of its container before any decode.

Adding one takes a module that defines an ``ImageFormat``, and its name here. Detection, scans, readers, limits, media
types and the sentences that name the formats derive from this list.
"""

from obscura.imaging.container import ImageFormat
from obscura.imaging.formats.avif import AVIF
from obscura.imaging.formats.gif import GIF
from obscura.imaging.formats.jpeg import JPEG
from obscura.imaging.formats.png import PNG
from obscura.imaging.formats.webp import WEBP

FORMATS: dict[str, ImageFormat] = {known.name: known for known in (PNG, JPEG, WEBP, GIF, AVIF)}

_NAMES = tuple(FORMATS)
SUPPORTED_FORMATS = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
"""For sentences: "PNG, JPEG, WEBP, GIF or AVIF"."""
