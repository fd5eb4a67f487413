"""JPEG: a walk over its markers (ITU-T T.81 annex B), without decoding a block of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL.JpegImagePlugin import JpegImageFile

from obscura.imaging.container import (
    MAX_PROFILE_BYTES,
    UPRIGHT,
    ContainerInfo,
    EntropyScan,
    ImageFormat,
    Span,
    exif_orientation,
    merge_adjacent,
)
from obscura.imaging.errors import ImageError, corrupt

_MAX_SCANS = 100
"""A decoder touches every block once a scan, however few bytes the scan has; the usual progressive script has ten."""
_MAX_SCANNED_PIXELS = 1_280_000_000
"""Pixels times scans: twenty scans of the largest image."""
_MAX_SEGMENTS = 4096
_MAX_RESTARTS = 131_072
"""Each is checked by itself, which takes about 8 us; 24 Mpx with a marker after every 4:2:0 MCU have 93,750."""

# Inside a scan 0xFF is followed by 0x00 (stuffing) or by a restart marker; these are all markers in use.
_MARKER = re.compile(rb"\xff[\xc0-\xfe]")
_WINDOW_BYTES = 1 << 20
"""A search holds the interpreter's lock: one window takes well under a millisecond."""

_SOI, _EOI, _SOS, _DRI, _APP0, _APP1, _APP2, _APP14 = 0xD8, 0xD9, 0xDA, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE
_APP15, _COM = 0xEF, 0xFE
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # C4, C8 and CC are DHT, JPG and DAC
_PROGRESSIVE = 0xC2
_SUPPORTED_FRAMES = frozenset({0xC0, 0xC1, _PROGRESSIVE})  # Huffman-coded: baseline, extended, progressive
_ICC = b"ICC_PROFILE\0"


@dataclass(slots=True)
class _Seen:
    frame: int = 0
    width_px: int = 0
    height_px: int = 0
    components: dict[int, tuple[int, int]] = field(default_factory=dict)
    restart_interval: int = 0
    exact_coefficients: set[tuple[int, int]] = field(default_factory=set)
    scans: list[EntropyScan] = field(default_factory=list)
    restarts: int = 0
    orientation: int | None = None
    profile: dict[int, bytes] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=lambda: [(0, 2)])
    kept_bytes: int = 2

    def keep(self, start: int, end: int) -> None:
        self.spans.append((start, end))
        self.kept_bytes += end - start


def scan(data: bytes) -> ContainerInfo:
    """Scan a JPEG. The image ends at its first EOI, or with the file; a second image after it (MPO) is ignored.

    A file that lacks its EOI may still have every block: the decoder finds out.

    Raises:
        ImageError: ``invalid_image``: cut, malformed, with fewer coded bytes than its blocks need, or with more scans
            than any honest encoder writes. ``unsupported_image_format``: not Huffman-coded.

    """
    seen = _Seen()
    position = 2
    for _ in range(_MAX_SEGMENTS):
        start = next((at for at in _markers(data, position) if data[at + 1] not in _RESTARTS), None)
        if start is None:
            raise _cut()
        marker = data[start + 1]
        if marker == _EOI:
            seen.keep(start, start + 2)
            return _container_info(seen)
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        if marker == _SOI or end < start + 4:
            raise corrupt("JPEG", "has a malformed segment")
        if end > len(data):
            raise _cut()
        payload = data[start + 4 : end]
        if _read_segment(seen, marker, payload):
            seen.keep(start, end)
        position = end
        if marker == _SOS:
            position = _read_scan(seen, data, payload, end)
            if position == len(data):
                _check_progression(seen)
                return _container_info(seen)
    raise corrupt("JPEG", f"has more than {_MAX_SEGMENTS} segments")


def _markers(data: bytes, position: int) -> Iterator[int]:
    for window in range(position, len(data), _WINDOW_BYTES):
        for found in _MARKER.finditer(data, window, window + _WINDOW_BYTES + 1):
            yield found.start()


def _read_segment(seen: _Seen, marker: int, payload: bytes) -> bool:
    """Record what a segment says; return whether the decoder needs it."""
    if marker in _FRAMES:
        _read_frame(seen, marker, payload)
    elif marker == _DRI:
        seen.restart_interval = int.from_bytes(payload[:2])
    elif _APP0 <= marker <= _APP15 or marker == _COM:
        return _read_application_segment(seen, marker, payload)
    return True


def _read_frame(seen: _Seen, marker: int, payload: bytes) -> None:
    if seen.frame or len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:
        raise corrupt("JPEG", "has a malformed frame header")
    if marker not in _SUPPORTED_FRAMES:
        raise ImageError(
            "unsupported_image_format",
            "The JPEG is coded arithmetically, hierarchically or without loss, which browsers do not show either. "
            "Save it as a baseline or progressive JPEG.",
        )
    seen.frame = marker
    seen.height_px, seen.width_px = int.from_bytes(payload[1:3]), int.from_bytes(payload[3:5])
    for at in range(6, len(payload), 3):
        seen.components[payload[at]] = (payload[at + 1] >> 4, payload[at + 1] & 15)


def _read_scan(seen: _Seen, data: bytes, header: bytes, start: int) -> int:
    """Walk over the entropy-coded data after a scan header; return the position of the marker after it.

    Restart markers count from 0 to 7 again and again (T.81 §E.1.4): a decoder fills the blocks of a lost one with grey.
    """
    blocks, mcus = _blocks_and_mcus(seen, header)
    _check_scans(seen)
    restarts: list[int] = []
    end = len(data)
    for found in _markers(data, start):
        if data[found + 1] not in _RESTARTS:
            end = found
            break
        if data[found + 1] != _RESTARTS[len(restarts) % 8]:
            raise corrupt("JPEG", "is damaged: its restart markers are out of order")
        restarts.append(seen.kept_bytes + found - start)
        if seen.restarts + len(restarts) > _MAX_RESTARTS:
            raise corrupt("JPEG", f"has more than {_MAX_RESTARTS} restart markers")
    seen.restarts += len(restarts)
    if not header[-1] & 15:  # the successive approximation has come to its last bit (T.81 §G.1.1.1.2)
        chosen = header[1 : 1 + 2 * header[0] : 2]
        seen.exact_coefficients |= {(each, at) for each in chosen for at in range(header[-3], min(header[-2], 63) + 1)}
    # The shortest code has one bit, and a block of a sequential JPEG two codes, DC and end of block.
    min_bits = 1 if seen.frame == _PROGRESSIVE and header[-3] else blocks if seen.frame == _PROGRESSIVE else 2 * blocks
    seen.scans.append(
        EntropyScan(
            seen.kept_bytes,
            seen.kept_bytes + end - start,
            tuple(restarts),
            max(1, -(-mcus // seen.restart_interval)) if seen.restart_interval else 1,
            -(-min_bits // 8),
        )
    )
    seen.keep(start, end)
    return end


def _blocks_and_mcus(seen: _Seen, header: bytes) -> tuple[int, int]:
    """Return how many blocks of 8 x 8 samples a scan has, and how many MCUs (T.81 §A.2)."""
    count = header[0] if header else 0
    if not seen.frame:
        raise corrupt("JPEG", "has a scan before its frame header")
    chosen = [seen.components.get(identifier) for identifier in header[1 : 1 + 2 * count : 2]]
    factors = [each for each in chosen if each is not None and 0 not in each]
    if not 1 <= count <= 4 or len(header) != 4 + 2 * count or len(factors) != count:
        raise corrupt("JPEG", "has a malformed scan header")
    most_h = max(h for h, _ in seen.components.values())
    most_v = max(v for _, v in seen.components.values())
    if count == 1:
        h, v = factors[0]
        blocks = -(-seen.width_px * h // (8 * most_h)) * -(-seen.height_px * v // (8 * most_v))
        return blocks, blocks
    mcus = -(-seen.width_px // (8 * most_h)) * -(-seen.height_px // (8 * most_v))
    return mcus * sum(h * v for h, v in factors), mcus


def _check_progression(seen: _Seen) -> None:
    """Reject a progressive JPEG that was cut between two scans: every coefficient has to be there to its last bit."""
    if seen.frame == _PROGRESSIVE and len(seen.exact_coefficients) != 64 * len(seen.components):
        raise _cut()


def _check_scans(seen: _Seen) -> None:
    scans = len(seen.scans) + 1
    if scans > _MAX_SCANS or scans * seen.width_px * seen.height_px > _MAX_SCANNED_PIXELS:
        raise ImageError(
            "invalid_image",
            f"The JPEG has too many scans for its size (at most {_MAX_SCANS}). Save it again, not progressive.",
            _MAX_SCANS,
        )


def _read_application_segment(seen: _Seen, marker: int, payload: bytes) -> bool:
    """Return whether it defines the colours: JFIF's APP0 (without thumbnail) or Adobe's APP14; the rest is metadata."""
    if marker == _APP0 and payload.startswith(b"JFIF\0") and len(payload) == 14:
        return True
    if marker == _APP14 and payload.startswith(b"Adobe") and len(payload) >= 12:
        return True
    if marker == _APP1 and payload.startswith(b"Exif\0\0") and seen.orientation is None:
        seen.orientation = exif_orientation(payload[6:])
    elif marker == _APP2 and payload.startswith(_ICC) and len(payload) > len(_ICC) + 2:
        seen.profile.setdefault(payload[len(_ICC)], payload)
    return False


def _profile(seen: _Seen) -> bytes | None:
    """Join the chunks of an ICC profile, (ICC.1:2022 §B.4); None if one is lacking, or it is too large."""
    count = len(seen.profile)
    chunks = [seen.profile.get(number, b"") for number in range(1, count + 1)]
    if not all(chunk[len(_ICC) + 1 : len(_ICC) + 2] == bytes([count]) for chunk in chunks):
        return None
    profile = b"".join(chunk[len(_ICC) + 2 :] for chunk in chunks)
    return profile if 0 < len(profile) <= MAX_PROFILE_BYTES else None


def _has_full_chroma(seen: _Seen) -> bool:
    most_h = max(h for h, _ in seen.components.values())
    most_v = max(v for _, v in seen.components.values())
    return all(h == most_h or v == most_v for h, v in seen.components.values())


def _container_info(seen: _Seen) -> ContainerInfo:
    if not seen.scans:
        raise corrupt("JPEG", "ends before its image begins")
    return ContainerInfo(
        JPEG,
        seen.width_px,
        seen.height_px,
        UPRIGHT if seen.orientation is None else seen.orientation,
        # Never kept: decoders differ on the same bytes (ADR 60).
        is_canonical=False,
        image_spans=merge_adjacent(seen.spans),
        icc_profile=_profile(seen),
        entropy_scans=tuple(seen.scans),
        has_full_chroma=_has_full_chroma(seen),
        pixel_bytes=1 if len(seen.components) == 1 else 4,
        decoder_bytes=_coefficient_bytes(seen),
    )


def _coefficient_bytes(seen: _Seen) -> int:
    """Return what libjpeg holds of an image in several scans: every coefficient, of 16 bits (jdcoefct.c).

    A baseline JPEG, whose one scan has all components, is decoded row by row.
    """
    if len(seen.scans) == 1 and seen.frame != _PROGRESSIVE:
        return 0
    most_h = max(h for h, _ in seen.components.values())
    most_v = max(v for _, v in seen.components.values())
    mcus = -(-seen.width_px // (8 * most_h)) * -(-seen.height_px // (8 * most_v))
    return mcus * sum(h * v for h, v in seen.components.values()) * 64 * 2


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
