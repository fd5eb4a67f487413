"""A walk over a PNG's chunks (PNG, third edition, §5): its facts and its checksums, without inflating a byte."""

import zlib
from dataclasses import dataclass, field

from obscura.imaging.exif_orientation import UPRIGHT, exif_orientation
from obscura.imaging.facts import Facts, SourceFormat, Span, joined
from obscura.imaging.refusal import broken

_CHUNKS = 65_536
"""Encoders write a chunk per 8 KiB or more; so many more of them would only burn time."""
_SIGNATURE_BYTES = 8
_FRAMING_BYTES = 12  # length, type, CRC
_DECODED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_GREY, _TRUECOLOUR, _TRUECOLOUR_ALPHA = 0, 2, 6
_BARE_COLOUR_TYPES = frozenset({_GREY, _TRUECOLOUR, _TRUECOLOUR_ALPHA})
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


def walk_png(data: bytes) -> Facts:
    """Read the facts of a PNG, checking each chunk's CRC up to IEND. An APNG is its default image.

    Raises:
        ImageRefused: ``invalid_image``: cut, damaged or malformed.

    """
    seen = _Seen()
    view = memoryview(data)
    position = _SIGNATURE_BYTES
    for _ in range(_CHUNKS):
        if position + _FRAMING_BYTES > len(data):
            raise broken("PNG", "is cut short")
        kind = data[position + 4 : position + 8]
        end = position + _FRAMING_BYTES + int.from_bytes(view[position : position + 4])
        if end > len(data):
            raise broken("PNG", "is cut short")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise broken("PNG", "is damaged: a checksum does not agree")
        _read_chunk(seen, kind, view[position + 8 : end - 4])
        if kind in _DECODED:
            seen.spans.append((position, end))
        if kind == b"IEND":
            return _facts(seen, end == len(data))
        position = end
    raise broken("PNG", f"has more than {_CHUNKS} chunks")


def _read_chunk(seen: _Seen, kind: bytes, payload: memoryview) -> None:
    if (kind == b"IHDR") == bool(seen.header) or (kind == b"IHDR" and len(payload) != 13):
        raise broken("PNG", "has a malformed header")
    if kind == b"IDAT":
        if seen.pixels_ended:
            raise broken("PNG", "has its pixels in several places")
        seen.pixels_begun = True
        return
    seen.pixels_ended = seen.pixels_begun
    if kind == b"IHDR":
        seen.header = bytes(payload)
    elif kind == b"eXIf" and seen.orientation is None:
        seen.orientation = exif_orientation(bytes(payload))
    elif kind not in _DECODED and not kind[0] & 0x20:
        raise broken("PNG", "has a critical chunk that is not in the standard")
    if kind not in {b"IHDR", b"IEND"} and not _is_harmless(kind, payload):
        seen.foreign = True


def _is_harmless(kind: bytes, payload: memoryview) -> bool:
    """Whether a chunk may stay: it says what every decoder assumes anyway, and has no room for anything else.

    Gamma and chromaticities of other values make two decoders show two pictures out of the same bytes, so that what
    was moderated would not be what the model sees.
    """
    return (
        (kind == b"gAMA" and payload == _SRGB_GAMMA)
        or (kind == b"sRGB" and len(payload) == 1)
        or (kind == b"pHYs" and len(payload) == 9)
    )


def _facts(seen: _Seen, nothing_behind: bool) -> Facts:
    if not seen.pixels_begun:
        raise broken("PNG", "has no pixels")
    width_px, height_px = int.from_bytes(seen.header[:4]), int.from_bytes(seen.header[4:8])
    bit_depth, colour_type = seen.header[8], seen.header[9]
    plain = bit_depth == 8 and colour_type in _BARE_COLOUR_TYPES and seen.header[12] == _NOT_INTERLACED
    bare = nothing_behind and not seen.foreign and plain
    orientation = UPRIGHT if seen.orientation is None else seen.orientation
    return Facts(SourceFormat.PNG, width_px, height_px, orientation, bare, joined(seen.spans), bit_depth)
