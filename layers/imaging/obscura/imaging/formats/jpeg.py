"""A walk over a JPEG's markers (ITU-T T.81 annex B): its facts, without decoding a block of it."""

import re
from dataclasses import dataclass, field

from obscura.imaging.container import UPRIGHT, ContainerInfo, SourceFormat, Span, exif_orientation, joined
from obscura.imaging.errors import ImageError, corrupt

SCANS = 100
"""A decoder touches every block once a scan, however few bytes the scan has; the usual progressive script has ten."""
SCANNED_PIXELS = 1_280_000_000
"""Pixels times scans: twenty scans of the largest image."""
_SEGMENTS = 4096

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
    foreign: bool = False
    spans: list[Span] = field(default_factory=list)


def scan_jpeg(data: bytes) -> ContainerInfo:
    """Read the facts of a JPEG. The image ends at its first EOI; a second image behind it (MPO) is not looked at.

    Raises:
        ImageError: ``invalid_image``: cut, malformed, or built of so many scans that only an attack explains them.

    """
    seen = _Seen(spans=[(0, 2)])
    position = 2
    for _ in range(_SEGMENTS):
        start = _next_marker(data, position)
        if start < 0:
            raise _cut()
        marker = data[start + 1]
        if seen.scans:
            seen.spans.append((position, start))
        elif start != position:
            seen.foreign = True
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
    raise corrupt("JPEG", f"has more than {_SEGMENTS} segments")


def _next_marker(data: bytes, position: int) -> int:
    for window in range(position, len(data), _WINDOW_BYTES):
        found = _MARKER.search(data, window, window + _WINDOW_BYTES + 1)
        if found:
            return found.start()
    return -1


def _read_segment(seen: _Seen, marker: int, payload: bytes) -> bool:
    """Note what a segment says; tell whether the decoder needs it."""
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
    if seen.scans > SCANS or seen.scans * seen.width_px * seen.height_px > SCANNED_PIXELS:
        raise ImageError(
            "invalid_image",
            f"The JPEG has too many scans for its size (at most {SCANS}). Save it again, not progressive.",
            SCANS,
        )


def _read_application_segment(seen: _Seen, marker: int, payload: bytes) -> bool:
    """JFIF's APP0 (without thumbnail) and Adobe's APP14 tell how to read the colours: all others are metadata."""
    if marker == _APP0 and payload.startswith(b"JFIF\0") and len(payload) == 14:
        seen.jfif = True
        return True
    if marker == _APP14 and payload.startswith(b"Adobe") and len(payload) == 12:
        seen.adobe_transform = payload[11]
        return True
    if marker == _APP1 and payload.startswith(b"Exif\0\0") and seen.orientation is None:
        seen.orientation = exif_orientation(payload[6:])
    seen.foreign = True
    return False


def _is_grey_or_ycbcr(seen: _Seen) -> bool:
    """Whether a decoder takes the components for Y or YCbCr: libjpeg's rules (jdapimin.c), which all have adopted."""
    if len(seen.components) == 3:
        if seen.jfif:
            return True
        if seen.adobe_transform is not None:
            return seen.adobe_transform != 0
        return seen.components != b"RGB"
    return len(seen.components) == 1


def _container_info(seen: _Seen, nothing_behind: bool) -> ContainerInfo:
    if not seen.scans:
        raise corrupt("JPEG", "ends before its image begins")
    bare = (
        nothing_behind
        and not seen.foreign
        and seen.frame in _SUPPORTED_FRAMES
        and seen.precision == 8
        and _is_grey_or_ycbcr(seen)
    )
    orientation = UPRIGHT if seen.orientation is None else seen.orientation
    return ContainerInfo(SourceFormat.JPEG, seen.width_px, seen.height_px, orientation, bare, joined(seen.spans))


def _cut() -> ImageError:
    return corrupt("JPEG", "is cut short")
