"""What a PNG's pixel stream holds beyond its pixels, which decoders never look at (PNG, third edition, §10)."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from obscura.imaging.container import UPRIGHT, ContainerInfo, SourceFormat, Span, exif_orientation, joined
from obscura.imaging.errors import corrupt

_SIGNATURE_BYTES = 8
_FRAMING_BYTES = 12  # length, type, CRC
_SLICE_BYTES = 65_536
"""Inflated at once, so that an image is not held a second time."""


def idat_is_exactly(data: bytes, raster_bytes: int) -> bool:
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


_CHUNKS = 65_536
"""Encoders write a chunk per 8 KiB or more; so many more of them would only burn time."""
_DECODED_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_GREY, _TRUECOLOUR, _TRUECOLOUR_ALPHA = 0, 2, 6
_CANONICAL_COLOUR_TYPES = frozenset({_GREY, _TRUECOLOUR, _TRUECOLOUR_ALPHA})
_NOT_INTERLACED = 0
_SRGB_GAMMA = (45_455).to_bytes(4)


@dataclass(slots=True)
class _Seen:
    header: bytes = b""
    orientation: int | None = None
    pixels_begun: bool = False
    pixels_ended: bool = False
    foreign: bool = False
    spans: list[Span] = field(default_factory=lambda: [(0, _SIGNATURE_BYTES)])


def scan_png(data: bytes) -> ContainerInfo:
    """Read the facts of a PNG, checking each chunk's CRC up to IEND. An APNG is its default image.

    Raises:
        ImageRefused: ``invalid_image``: cut, damaged or malformed.

    """
    seen = _Seen()
    view = memoryview(data)
    position = _SIGNATURE_BYTES
    for _ in range(_CHUNKS):
        if position + _FRAMING_BYTES > len(data):
            raise corrupt("PNG", "is cut short")
        kind = data[position + 4 : position + 8]
        end = position + _FRAMING_BYTES + int.from_bytes(view[position : position + 4])
        if end > len(data):
            raise corrupt("PNG", "is cut short")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise corrupt("PNG", "is damaged: a checksum does not agree")
        _read_chunk(seen, kind, view[position + 8 : end - 4])
        if kind in _DECODED_CHUNKS:
            seen.spans.append((position, end))
        if kind == b"IEND":
            return _container_info(seen, end == len(data))
        position = end
    raise corrupt("PNG", f"has more than {_CHUNKS} chunks")


def _read_chunk(seen: _Seen, kind: bytes, payload: memoryview) -> None:
    if (kind == b"IHDR") == bool(seen.header) or (kind == b"IHDR" and len(payload) != 13):
        raise corrupt("PNG", "has a malformed header")
    if kind == b"IDAT":
        if seen.pixels_ended:
            raise corrupt("PNG", "has its pixels in several places")
        seen.pixels_begun = True
        return
    seen.pixels_ended = seen.pixels_begun
    if kind == b"IHDR":
        seen.header = bytes(payload)
    elif kind == b"eXIf" and seen.orientation is None:
        seen.orientation = exif_orientation(bytes(payload))
    elif kind not in _DECODED_CHUNKS and not kind[0] & 0x20:
        raise corrupt("PNG", "has a critical chunk that is not in the standard")
    if kind not in {b"IHDR", b"IEND"} and not _is_harmless(kind, payload):
        seen.foreign = True


def _is_harmless(kind: bytes, payload: memoryview) -> bool:
    """Whether a chunk may stay: it says what every decoder assumes anyway, and has no room for anything else.

    Gamma and chromaticities of other values make two decoders show two images out of the same bytes, so that what
    was moderated would not be what the model sees.
    """
    return (
        (kind == b"gAMA" and payload == _SRGB_GAMMA)
        or (kind == b"sRGB" and len(payload) == 1)
        or (kind == b"pHYs" and len(payload) == 9)
    )


def _container_info(seen: _Seen, nothing_behind: bool) -> ContainerInfo:
    if not seen.pixels_begun:
        raise corrupt("PNG", "has no pixels")
    width_px, height_px = int.from_bytes(seen.header[:4]), int.from_bytes(seen.header[4:8])
    bit_depth, colour_type = seen.header[8], seen.header[9]
    plain = bit_depth == 8 and colour_type in _CANONICAL_COLOUR_TYPES and seen.header[12] == _NOT_INTERLACED
    bare = nothing_behind and not seen.foreign and plain
    orientation = UPRIGHT if seen.orientation is None else seen.orientation
    return ContainerInfo(SourceFormat.PNG, width_px, height_px, orientation, bare, joined(seen.spans), bit_depth)
