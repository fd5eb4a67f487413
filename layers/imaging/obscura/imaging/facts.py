"""What the walk of a container tells about a picture before anything is decoded."""

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
class Facts:
    """A picture by its container alone.

    ``width_px`` and ``height_px`` are the stored sides, before ``orientation`` (EXIF 2.32 §4.6.4, tag 0x0112: 1 to 8,
    1 is upright) is applied. ``spans`` is what the decoder is handed: the picture and nothing else, neither metadata
    nor further frames nor what stands behind the end. ``bare`` says that the file holds nothing but one static 8-bit
    L, RGB or RGBA picture, with nothing behind it. ``bit_depth`` is that of one stored sample.
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
