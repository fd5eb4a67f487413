"""What the walk of a container tells about an image before anything is decoded."""

import struct
from dataclasses import dataclass
from enum import StrEnum

Span = tuple[int, int]
"""Where a run of bytes begins, and where the first byte behind it is."""


class SourceFormat(StrEnum):
    """The four formats that are taken; the value is Pillow's name."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"
    GIF = "GIF"

    @property
    def media_type(self) -> str:
        """The IANA media type."""
        return f"image/{self.value.lower()}"


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """An image by its container alone.

    ``width_px`` and ``height_px`` are the stored sides, before ``orientation`` (EXIF 2.32 §4.6.4, tag 0x0112: 1 to 8,
    1 is upright) is applied. ``spans`` is what the decoder is handed: the image and nothing else, neither metadata
    nor further frames nor what stands behind the end. ``bare`` says that the file holds nothing but one static 8-bit
    L, RGB or RGBA image, with nothing behind it. ``bit_depth`` is that of one stored sample.
    """

    source_format: SourceFormat
    width_px: int
    height_px: int
    orientation: int
    bare: bool
    spans: tuple[Span, ...]
    bit_depth: int = 8


def joined(spans: list[Span]) -> tuple[Span, ...]:
    """Merge each span that begins where the one before it ends."""
    merged: list[Span] = []
    for start, end in spans:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_SHORT = 3
_ENTRIES = 512
"""How many entries of the first directory are looked at: cameras write about 12."""


def exif_orientation(tiff: bytes) -> int:
    """Return the orientation 1 to 8 of an EXIF block that starts at its TIFF header; 1 when it tells none.

    TIFF 6.0 §2 (header, image file directory), EXIF 2.32 §4.6.4 (tag 0x0112, one SHORT). A damaged block is not a
    damaged image: it counts as upright, as in every viewer.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(f"{order}4xI", tiff)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for index in range(min(count, _ENTRIES)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * index)
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and UPRIGHT <= value <= 8 else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT
