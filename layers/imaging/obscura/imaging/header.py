"""What is known of an image without decoding it: the walk over its container, checked against the limits."""

from dataclasses import dataclass, replace

from obscura.imaging.container import ContainerInfo
from obscura.imaging.decode_memory import check_decode, decode_bytes
from obscura.imaging.detect import detect_format
from obscura.imaging.errors import corrupt
from obscura.imaging.limits import Detail, ImageLimits, check_dimensions, check_raw_bytes
from obscura.imaging.resize import SWAPPING_ORIENTATIONS, decode_scale, target_size

_SCANS_PER_DECODE = 32
"""A further scan of a JPEG costs about a 32nd of a pixel for each pixel: 0.6 to 1.2 ns beside the 20 to 50 ns of a
decoded one (64 megapixels of one colour in ten scans: 430 ms, in one: 145)."""


_MAX_HELD_BYTES = 64 * 1024
_BYTES_PER_NUMBER = 36


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """An image that passed every check that needs no decode.

    Attributes:
        info: what its container says: format, stored sides, orientation, depth, where its pixels are.
        source_bytes: the bytes of the file.
        size: the sides in px that it is resized to, before the orientation is applied.
        scale: 1, 2, 4 or 8: a JPEG is decoded at 1/scale of its size.
        decode_pixels: how many pixels preparing it decodes, at that scale. Each scan of a JPEG after the first touches
            every coefficient again, whatever the scale, and counts as a 32nd of the full size.
        decode_bytes: how much memory preparing it takes.

    """

    info: ContainerInfo
    source_bytes: int
    size: tuple[int, int]
    scale: int
    decode_pixels: int
    decode_bytes: int

    @property
    def source_format(self) -> str:
        """The name of its format, such as ``"JPEG"``."""
        return self.info.source_format.name

    @property
    def prepared_size(self) -> tuple[int, int]:
        """The width and height in px that ``prepare`` returns, upright."""
        width_px, height_px = self.size
        return (height_px, width_px) if self.info.orientation in SWAPPING_ORIENTATIONS else self.size

    def to_hold(self) -> "ImageHeader":
        """Return this header without what takes much memory, for later: ``prepare`` reads that again.

        Formats that are rewritten for their decoder have a copy of the file in ``info``, a JPEG with many restart
        markers a number for each.
        """
        info = self.info
        held_bytes = sum(len(span) for span in info.image_spans if isinstance(span, bytes))
        held_bytes += len(info.icc_profile or b"") + _BYTES_PER_NUMBER * sum(
            len(s.restarts) for s in info.entropy_scans
        )
        if held_bytes <= _MAX_HELD_BYTES:
            return self
        return replace(self, info=replace(info, image_spans=(), icc_profile=None, entropy_scans=()))

    @property
    def is_whole(self) -> bool:
        """Whether ``info`` is complete, so that a decode can use it."""
        return bool(self.info.image_spans)


def inspect(data: bytes, detail: Detail, limits: ImageLimits) -> ImageHeader:
    """Check all of an image that can be checked without decoding it: size, format, structure, sides, aspect ratio.

    Args:
        data: the file, of any declared type.
        detail: decides the longest side of the result, and so the scale at which a JPEG is decoded.
        limits: in bytes, pixels and n:1, and the memory to decode in.

    Raises:
        ImageError: with the API's error code.

    """
    check_raw_bytes(len(data), limits)
    info = detect_format(data).scan(data)
    check_dimensions(info, limits)
    size = target_size(info.width_px, info.height_px, limits.longest_side_px(detail), limits.aspect_ratio)
    scale = decode_scale(info, size) if info.source_format.decodes_scaled else 1
    needed_bytes = decode_bytes(info, len(data), size, scale)
    check_decode(info, needed_bytes, limits.decode_bytes)
    if any(each.lacks_data for each in info.entropy_scans):
        raise corrupt(info.source_format.name, "is damaged: a part of its pixels is missing")
    pixels = -(-info.width_px // scale) * -(-info.height_px // scale)
    pixels += max(0, len(info.entropy_scans) - 1) * info.width_px * info.height_px // _SCANS_PER_DECODE
    return ImageHeader(info, len(data), size, scale, pixels, needed_bytes)
