"""What a PNG's pixel stream holds beyond its pixels, which decoders never look at (PNG, third edition, §10)."""

import zlib
from collections.abc import Iterator

_SIGNATURE_BYTES = 8
_FRAMING_BYTES = 12  # length, type, CRC
_SLICE_BYTES = 65_536
"""Inflated at once, so that a picture is not held a second time."""


def holds_only_pixels(data: bytes, raster_bytes: int) -> bool:
    """Whether a walked PNG's IDAT chunks inflate to exactly ``raster_bytes``: filter bytes and samples of all rows.

    A stream that goes on is a hiding place, or a bomb for whoever inflates all of it; no more is inflated here than
    the raster and a byte.
    """
    stream, left = zlib.decompressobj(), raster_bytes
    try:
        for piece in _pixel_stream(data):
            left -= len(stream.decompress(piece, left + 1))
            if left < 0 or stream.unused_data:
                return False
    except zlib.error:
        return False
    return stream.eof and left == 0


def _pixel_stream(data: bytes) -> Iterator[memoryview]:
    view, position = memoryview(data), _SIGNATURE_BYTES
    while position < len(data):
        end = position + _FRAMING_BYTES + int.from_bytes(view[position : position + 4])
        if data[position + 4 : position + 8] == b"IDAT":
            for start in range(position + 8, end - 4, _SLICE_BYTES):
                yield view[start : min(start + _SLICE_BYTES, end - 4)]
        position = end
