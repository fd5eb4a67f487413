"""WEBP: a walk over its RIFF chunks (RFC 9649 §2), without decoding a macroblock."""

import io

from PIL.WebPImagePlugin import WebPImageFile

from obscura.imaging.container import MAX_PROFILE_BYTES, UPRIGHT, ContainerInfo, ImageFormat, exif_orientation
from obscura.imaging.errors import corrupt

_MAX_CHUNKS = 65_536
_MAX_PIXELS = 25_000_000
_DECODER_BYTES_PER_PIXEL = 12
"""Pillow decodes WEBP through libwebp's animation decoder, which takes 16 bytes a pixel with the image that it
delivers: 400 MB at this cap, and 450 MiB with the interpreter and a file of 12 MB."""
_HEADER_BYTES = 12
_ALPHA_HINT_AT, _ALPHA_HINT = 24, 0x10
_IMAGE_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"ANMF"})


def scan(data: bytes) -> ContainerInfo:
    """Scan a WEBP, following its chunks to the end that the RIFF header declares.

    Raises:
        ImageError: ``invalid_image``: cut or malformed.

    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise corrupt("WEBP", "is cut short")
    width_px = height_px = 0
    orientation: int | None = None
    profile: bytes | None = None
    kinds: set[bytes] = set()
    position = _HEADER_BYTES
    for _ in range(_MAX_CHUNKS):
        if position == end:
            break
        kind, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        following = position + 8 + size + (size & 1)
        if position + 8 > end or following > end:
            raise corrupt("WEBP", "has chunks that do not fit its size")
        if position == _HEADER_BYTES:
            width_px, height_px = _canvas(kind, data[position + 8 : min(following, position + 18)])
        if kind == b"EXIF" and orientation is None:
            # The specification wants the TIFF header first; files with JPEG's "Exif\0\0" before it exist.
            orientation = exif_orientation(data[position + 8 : position + 8 + size].removeprefix(b"Exif\0\0"))
        if kind == b"ICCP" and profile is None and size <= MAX_PROFILE_BYTES:
            profile = data[position + 8 : position + 8 + size]
        kinds.add(kind)
        position = following
    else:
        raise corrupt("WEBP", f"has more than {_MAX_CHUNKS} chunks")
    if not kinds & _IMAGE_CHUNKS:
        raise corrupt("WEBP", "has no image")
    is_canonical = kinds in ({b"VP8 "}, {b"VP8L"}) and end == len(data)
    upright = UPRIGHT if orientation is None else orientation
    return ContainerInfo(WEBP, width_px, height_px, upright, is_canonical, ((0, end),), icc_profile=profile)


def _canvas(kind: bytes, payload: bytes) -> tuple[int, int]:
    """Read the size out of the first chunk: extended (RFC 9649 §2.7), lossy (RFC 6386 §9.1) or lossless (§3.4)."""
    if kind == b"VP8X" and len(payload) >= 10:
        return int.from_bytes(payload[4:7], "little") + 1, int.from_bytes(payload[7:10], "little") + 1
    if kind == b"VP8 " and payload[3:6] == b"\x9d\x01\x2a" and len(payload) >= 10:
        return int.from_bytes(payload[6:8], "little") & 0x3FFF, int.from_bytes(payload[8:10], "little") & 0x3FFF
    if kind == b"VP8L" and payload[:1] == b"\x2f" and len(payload) >= 5:
        sides = int.from_bytes(payload[1:5], "little")
        return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    raise corrupt("WEBP", "has a malformed header")


def _is_opaque(data: bytes, _: int) -> bool:
    """Return whether a simple WEBP has no alpha, even in a decoder that ignores ``alpha_is_used`` (RFC 9649 §3.4).

    The bit is a hint: some decoders take the alpha values of a lossless image for what they are, whatever it says.
    """
    if data[12:16] != b"VP8L":
        return True
    with_alpha = bytearray(data)
    with_alpha[_ALPHA_HINT_AT] |= _ALPHA_HINT
    image = WebPImageFile(io.BytesIO(bytes(with_alpha)))
    return image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)


WEBP = ImageFormat(
    name="WEBP",
    media_type="image/webp",
    recognizes=lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP",
    scan=scan,
    reader=WebPImageFile,
    max_pixels=_MAX_PIXELS,
    decoder_bytes_per_pixel=_DECODER_BYTES_PER_PIXEL,
    pixels_are_exactly=_is_opaque,
)
