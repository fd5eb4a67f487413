"""JPEG: a walk over its markers (ITU-T T.81 annex B), without decoding a block of it."""

import re
from dataclasses import dataclass, field

from PIL.JpegImagePlugin import JpegImageFile

from obscura.imaging.container import UPRIGHT, ContainerInfo, ImageFormat, Span, exif_orientation, merge_adjacent
from obscura.imaging.errors import ImageError, corrupt

_MAX_SCANS = 100
"""A decoder touches every block once a scan, however few bytes the scan has; the usual progressive script has ten."""
_MAX_SCANNED_PIXELS = 1_280_000_000
"""Pixels times scans: twenty scans of the largest image."""
_MAX_SEGMENTS = 4096

# Inside a scan 0xFF is followed by 0x00 (stuffing) or by a restart marker; these are all other markers in use.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_WINDOW_BYTES = 1 << 20
"""A search holds the interpreter's lock: one window takes well under a millisecond."""

_SOI, _EOI, _SOS, _APP0, _APP1, _APP14, _APP15, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # C4, C8 and CC are DHT, JPG and DAC
_SUPPORTED_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # Huffman-coded: baseline, extended, progressive


@dataclass(slots=True)
class _Seen:
    frame: int = 0
    precision: int = 0
    width_px: int = 0
    height_px: int = 0
    components: bytes = b""
    scans: int = 0
    orientation: int | None = None
    jfif: bool = False
    adobe_transform: int | None = None
    has_metadata: bool = False
    spans: list[Span] = field(default_factory=list)


def scan(data: bytes) -> ContainerInfo:
    """Scan a JPEG. The image ends at its first EOI; a second image after it (MPO) is ignored.

    Raises:
        ImageError: ``invalid_image``: cut, malformed, or with more scans than any honest encoder writes.

    """
    seen = _Seen(spans=[(0, 2)])
    position = 2
    for _ in range(_MAX_SEGMENTS):
        start = _next_marker(data, position)
        if start < 0:
            raise _cut()
        marker = data[start + 1]
        if seen.scans:
            seen.spans.append((position, start))
        elif start != position:
            seen.has_metadata = True
        if marker == _EOI:
            seen.spans.append((start, start + 2))
            return _container_info(seen, start + 2 == len(data))
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        if marker == _SOI or end < start + 4:
            raise corrupt("JPEG", "has a malformed segment")
        if end > len(data):
            raise _cut()
        if _read_segment(seen, marker, data[start + 4 : end]):
            seen.spans.append((start, end))
        position = end
    raise corrupt("JPEG", f"has more than {_MAX_SEGMENTS} segments")


def _next_marker(data: bytes, position: int) -> int:
    for window in range(position, len(data), _WINDOW_BYTES):
        found = _MARKER.search(data, window, window + _WINDOW_BYTES + 1)
        if found:
            return found.start()
    return -1


def _read_segment(seen: _Seen, marker: int, payload: bytes) -> bool:
    """Record what a segment says; return whether the decoder needs it."""
    if marker in _FRAMES:
        _read_frame(seen, marker, payload)
    elif marker == _SOS:
        _count_scan(seen)
    elif _APP0 <= marker <= _APP15 or marker == _COM:
        return _read_application_segment(seen, marker, payload)
    return True


def _read_frame(seen: _Seen, marker: int, payload: bytes) -> None:
    if seen.frame or len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:
        raise corrupt("JPEG", "has a malformed frame header")
    seen.frame, seen.precision = marker, payload[0]
    seen.height_px, seen.width_px = int.from_bytes(payload[1:3]), int.from_bytes(payload[3:5])
    seen.components = payload[6::3]


def _count_scan(seen: _Seen) -> None:
    if not seen.frame:
        raise corrupt("JPEG", "has a scan before its frame header")
    seen.scans += 1
    if seen.scans > _MAX_SCANS or seen.scans * seen.width_px * seen.height_px > _MAX_SCANNED_PIXELS:
        raise ImageError(
            "invalid_image",
            f"The JPEG has too many scans for its size (at most {_MAX_SCANS}). Save it again, not progressive.",
            _MAX_SCANS,
        )


def _read_application_segment(seen: _Seen, marker: int, payload: bytes) -> bool:
    """Return whether it defines the colours: JFIF's APP0 (without thumbnail) or Adobe's APP14; the rest is metadata."""
    if marker == _APP0 and payload.startswith(b"JFIF\0") and len(payload) == 14:
        seen.jfif = True
        return True
    if marker == _APP14 and payload.startswith(b"Adobe") and len(payload) == 12:
        seen.adobe_transform = payload[11]
        return True
    if marker == _APP1 and payload.startswith(b"Exif\0\0") and seen.orientation is None:
        seen.orientation = exif_orientation(payload[6:])
    seen.has_metadata = True
    return False


def _is_grey_or_ycbcr(seen: _Seen) -> bool:
    """Return whether decoders take the components for Y or YCbCr, by libjpeg's rules (jdapimin.c)."""
    if len(seen.components) == 3:
        if seen.jfif:
            return True
        if seen.adobe_transform is not None:
            return seen.adobe_transform != 0
        return seen.components != b"RGB"
    return len(seen.components) == 1


def _container_info(seen: _Seen, ends_at_eoi: bool) -> ContainerInfo:
    if not seen.scans:
        raise corrupt("JPEG", "ends before its image begins")
    is_canonical = (
        ends_at_eoi
        and not seen.has_metadata
        and seen.frame in _SUPPORTED_FRAMES
        and seen.precision == 8
        and _is_grey_or_ycbcr(seen)
    )
    orientation = UPRIGHT if seen.orientation is None else seen.orientation
    return ContainerInfo(JPEG, seen.width_px, seen.height_px, orientation, is_canonical, merge_adjacent(seen.spans))


def _cut() -> ImageError:
    return corrupt("JPEG", "is cut short")


JPEG = ImageFormat(
    name="JPEG",
    media_type="image/jpeg",
    recognizes=lambda data: data.startswith(b"\xff\xd8\xff"),
    scan=scan,
    reader=JpegImageFile,
    decodes_scaled=True,
)
