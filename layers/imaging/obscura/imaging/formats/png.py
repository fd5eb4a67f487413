"""PNG: a walk over its chunks, and whether its pixel stream holds nothing but pixels (PNG, third edition, §5, §10)."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL.PngImagePlugin import PngImageFile

from obscura.imaging.container import (
    MAX_PROFILE_BYTES,
    UPRIGHT,
    ContainerInfo,
    ImageFormat,
    Span,
    exif_orientation,
    merge_adjacent,
)
from obscura.imaging.errors import corrupt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAMING_BYTES = 12  # length, type, CRC
_SLICE_BYTES = 65_536
"""Inflated at once, so that an image is not held a second time."""
_MAX_CHUNKS = 65_536
"""Encoders write a chunk per 8 KiB or more; a file with more chunks than this only costs time."""
_DECODED_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_GREY, _TRUECOLOUR = 0, 2
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type: grey, truecolour, palette, grey with alpha, truecolour with alpha."""
_ONE_CHANNEL = frozenset({0, 3})
_CANONICAL_COLOUR_TYPES = frozenset({_GREY, _TRUECOLOUR})
_NOT_INTERLACED = 0
_SRGB_GAMMA = (45_455).to_bytes(4)


@dataclass(slots=True)
class _Seen:
    header: bytes = b""
    orientation: int | None = None
    profile: bytes | None = None
    pixels_begun: bool = False
    pixels_ended: bool = False
    has_metadata: bool = False
    spans: list[Span] = field(default_factory=lambda: [(0, len(_SIGNATURE))])


def scan(data: bytes) -> ContainerInfo:
    """Scan a PNG, checking each chunk's CRC up to IEND. Of an APNG only the default image counts.

    Raises:
        ImageError: ``invalid_image``: cut, damaged or malformed.

    """
    seen = _Seen()
    view = memoryview(data)
    position = len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
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
    raise corrupt("PNG", f"has more than {_MAX_CHUNKS} chunks")


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
    elif kind == b"iCCP" and seen.profile is None and not seen.pixels_begun:
        seen.profile = _profile(bytes(payload))
    elif kind not in _DECODED_CHUNKS and not kind[0] & 0x20:
        raise corrupt("PNG", "has a critical chunk that is not in the standard")
    if kind not in {b"IHDR", b"IEND"} and not _is_harmless(kind, payload):
        seen.has_metadata = True


def _profile(payload: bytes) -> bytes | None:
    """Inflate the ICC profile of an iCCP chunk (PNG, third edition, §11.3.2.3); None if it is broken or too large."""
    name, _, rest = payload.partition(b"\0")
    if not 1 <= len(name) <= 79 or rest[:1] != b"\0":
        return None
    try:
        profile = zlib.decompressobj().decompress(rest[1:], MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return None
    return profile if len(profile) <= MAX_PROFILE_BYTES else None


def _is_harmless(kind: bytes, payload: memoryview) -> bool:
    """Return whether a chunk may stay: it says what every decoder assumes anyway, and has no space for other data.

    With other gammas and chromaticities two decoders show two images from the same bytes, and the model would see
    another image than the one that was moderated.
    """
    return (
        (kind == b"gAMA" and payload == _SRGB_GAMMA)
        or (kind == b"sRGB" and len(payload) == 1)
        or (kind == b"pHYs" and len(payload) == 9)
    )


def _container_info(seen: _Seen, ends_at_iend: bool) -> ContainerInfo:
    if not seen.pixels_begun:
        raise corrupt("PNG", "has no pixels")
    width_px, height_px = int.from_bytes(seen.header[:4]), int.from_bytes(seen.header[4:8])
    bit_depth, colour_type = seen.header[8], seen.header[9]
    plain = bit_depth == 8 and colour_type in _CANONICAL_COLOUR_TYPES and seen.header[12] == _NOT_INTERLACED
    is_canonical = ends_at_iend and not seen.has_metadata and plain
    orientation = UPRIGHT if seen.orientation is None else seen.orientation
    return ContainerInfo(
        PNG,
        width_px,
        height_px,
        orientation,
        is_canonical,
        merge_adjacent(seen.spans),
        bit_depth,
        icc_profile=seen.profile,
        pixel_bytes=_pixel_bytes(colour_type, bit_depth),
        raster_bytes=height_px * (1 + (width_px * _CHANNELS.get(colour_type, 4) * bit_depth + 7) // 8),
    )


def _pixel_bytes(colour_type: int, bit_depth: int) -> int:
    """Return the bytes of a decoded pixel: one channel has its own modes in Pillow, all others have four bytes."""
    if colour_type not in _ONE_CHANNEL:
        return 4
    return 2 if bit_depth == 16 else 1


def idat_is_exactly(data: bytes, raster_bytes: int) -> bool:
    """Return whether a scanned PNG's IDAT chunks inflate to exactly ``raster_bytes``: filter bytes and samples.

    Decoders never look at what follows the last row, so a longer stream can hide data, or inflate without end in a
    program that reads it all. No more than the raster and one byte is inflated here.
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
    view, position = memoryview(data), len(_SIGNATURE)
    while position < len(data):
        end = position + _FRAMING_BYTES + int.from_bytes(view[position : position + 4])
        if data[position + 4 : position + 8] == b"IDAT":
            for start in range(position + 8, end - 4, _SLICE_BYTES):
                yield view[start : min(start + _SLICE_BYTES, end - 4)]
        position = end


PNG = ImageFormat(
    name="PNG",
    media_type="image/png",
    recognizes=lambda data: data.startswith(_SIGNATURE),
    scan=scan,
    reader=PngImageFile,
    pixels_are_exactly=idat_is_exactly,
)
