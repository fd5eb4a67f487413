"""What gateway and child say to each other over the child's stdin and stdout: one request, then frames.

The child parses a hostile file, so nothing that it says is believed: every number is checked again by the gateway, and
the sentences of errors are the gateway's own.
"""

import struct
from math import ceil

REQUEST = struct.Struct("!QQQQQQ")
"""Bytes of the document that follow, longest side in px (0: only check the document), pages, pixels, characters, and
whether pages are rendered (1) or only measured (0)."""

FRAME = struct.Struct("!BIIII")
"""A kind and four numbers, which mean what the kind says."""


class Frame:
    """The kinds of frames, and their numbers; those that are not named are 0. No enum: its import is slow."""

    DOCUMENT = 1
    """Pages: the document can be read and is within its limits."""
    PAGE = 2
    """Width and height in px, channels, characters of text.

    The text follows, as UTF-32 in this machine's byte order, then the pixels row by row: RGB, or grey in one channel.
    Of a page that is only measured nothing follows; it has no channel.
    """
    REFUSED = 3
    """A ``Refusal``, the page that it concerns (0: none, 1: the first), and the number that is over its limit."""
    END = 4
    """Nothing follows."""


class Refusal:
    """Why a document is refused."""

    BROKEN = 1
    ENCRYPTED = 2
    XFA = 3
    NO_PAGES = 4
    TOO_MANY_PAGES = 5
    PAGE_SIZE = 6
    TOO_MANY_PIXELS = 7
    PAGE_BROKEN = 8
    TOO_MUCH_TEXT = 9
    OUT_OF_MEMORY = 10


MAX_PAGE_SIDE_UNITS = 14_400
"""ISO 32000-1, annex C.2: the largest side of a page, 200 inches."""
MAX_ASPECT_RATIO = 200
"""As for images (``obscura.imaging.limits``), so that a page that was rendered is never refused as an image."""

_ROUNDING = 1e-4
"""Of a page's sides, which PDFium has in single precision."""


def rendered_size(width: float, height: float, longest_side_px: int) -> tuple[int, int]:
    """Return the size in px of a page of this size in units; both sides are positive.

    The shorter side is rounded up, so that the image's aspect ratio is never over the page's.
    """
    shorter_side_px = max(1, ceil(longest_side_px * min(width, height) / max(width, height) - _ROUNDING))
    return (longest_side_px, shorter_side_px) if width >= height else (shorter_side_px, longest_side_px)
