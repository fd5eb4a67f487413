"""The type of an image format, and the facts about one image that its container states."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import IO

from PIL import ImageFile

Span = tuple[int, int]
"""The offset of the first byte of a run, and of the first byte after it."""


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A format that is accepted; each module of ``formats`` defines one, and ``formats/__init__.py`` lists them.

    Attributes:
        name: as in error messages and logs.
        media_type: the IANA media type.
        recognizes: whether the first bytes of a file have this format's signature.
        scan: walks the container within bounds, without decoding; raises ImageError.
        reader: opens a file with Pillow, for this format alone; raises ImportError if Pillow lacks the decoder.
        max_pixels: a cap below that of ``ImageLimits``, if decoding takes much more memory than other formats do.
        decodes_scaled: whether the decoder can deliver the image at 1/2, 1/4 or 1/8 of its size.
        pixels_are_exactly: whether the compressed pixels of a scanned file inflate to exactly this many bytes, if the
            format can hide other bytes after them.
        decoder_bytes_per_pixel: what its decoder holds for each pixel beside the image that it delivers.
        package: the package that decodes it, if it is not Pillow; a deployment may have been made without it.
        is_common: whether ``warm_up`` loads its decoder; a rare format with a large library waits for its first file.

    """

    name: str
    media_type: str
    recognizes: Callable[[bytes], bool]
    scan: "Callable[[bytes], ContainerInfo]"
    reader: Callable[[IO[bytes]], ImageFile.ImageFile]
    max_pixels: int | None = None
    decodes_scaled: bool = False
    pixels_are_exactly: Callable[[bytes, int], bool] | None = None
    is_common: bool = True
    package: str | None = None
    decoder_bytes_per_pixel: int = 0

    @property
    def is_available(self) -> bool:
        """Whether this deployment has what decodes the format."""
        return self.package is None or find_spec(self.package) is not None


@dataclass(frozen=True, slots=True)
class EntropyScan:
    """A scan of a JPEG.

    Attributes:
        start: where its entropy-coded data begins in the decoder's bytes.
        end: where the data ends.
        restarts: where its restart markers are.
        intervals: how many runs of MCUs they should part it into.
        min_bytes: fewer cannot code its blocks.

    """

    start: int
    end: int
    restarts: tuple[int, ...] = ()
    intervals: int = 1
    min_bytes: int = 1

    @property
    def lacks_data(self) -> bool:
        """Whether blocks are missing for certain; some scanners write more intervals than the image has."""
        return len(self.restarts) + 1 < self.intervals or self.end - self.start < self.min_bytes


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """What the container says of its image.

    ``width_px`` and ``height_px`` are the stored sides, before ``orientation`` (EXIF 2.32 §4.6.4, tag 0x0112: 1 to 8,
    1 is upright) is applied. ``is_canonical`` says that the file holds nothing but one static 8-bit L or RGB
    image, with nothing after it. ``image_spans`` is what the decoder gets: the image and nothing else, neither
    metadata nor further frames nor bytes after the end; bytes between them replace a run of the file that it must not
    see, in formats that count offsets from the start of the file. ``bit_depth`` is that of one stored sample.
    ``icc_profile`` is the ICC profile that the file embeds, if any. ``entropy_scans`` are those of a JPEG, and
    ``has_full_chroma`` says that it stores every component at the same resolution, or halves one side at most.
    ``pixel_bytes`` are those of a decoded pixel in memory, ``decoder_bytes`` what the decoder holds beside the image
    itself, and ``raster_bytes`` what the pixels of a PNG inflate to.
    """

    source_format: ImageFormat
    width_px: int
    height_px: int
    orientation: int
    is_canonical: bool
    image_spans: tuple[Span | bytes, ...]
    bit_depth: int = 8
    icc_profile: bytes | None = None
    entropy_scans: tuple[EntropyScan, ...] = ()
    has_full_chroma: bool = False
    pixel_bytes: int = 4
    decoder_bytes: int = 0
    raster_bytes: int = 0


def merge_adjacent(spans: list[Span]) -> tuple[Span, ...]:
    """Merge each span that begins at the end of the one before it."""
    merged: list[Span] = []
    for start, end in spans:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


MAX_PROFILE_BYTES = 1 << 20
"""A larger ICC profile is not taken: those of cameras and displays have some kilobytes, printers' up to a megabyte."""

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_SHORT = 3
_MAX_ENTRIES = 512
"""How many entries of the first directory are read: cameras write about 12."""


def exif_orientation(tiff: bytes) -> int:
    """Return the orientation 1 to 8 of an EXIF block that starts at its TIFF header; 1 if it has none.

    TIFF 6.0 §2 (header, image file directory), EXIF 2.32 §4.6.4 (tag 0x0112, one SHORT). A damaged block does not make
    the image damaged: it counts as upright, as in every viewer.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(f"{order}4xI", tiff)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for index in range(min(count, _MAX_ENTRIES)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * index)
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and UPRIGHT <= value <= 8 else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT
