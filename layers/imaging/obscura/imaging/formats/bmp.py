"""BMP: its headers are read and its sizes proved against the file; the decoder gets a file of known numbers."""

import struct
from dataclasses import dataclass

from PIL.BmpImagePlugin import BmpImageFile

from obscura.imaging.container import MAX_PROFILE_BYTES, UPRIGHT, ContainerInfo, ImageFormat, Span
from obscura.imaging.errors import ImageError, corrupt

_MAX_RUN_LENGTH_PIXELS = 4_000_000
_MAX_RUN_LENGTH_BYTES = 1_000_000
"""Pillow decodes run lengths in Python: up to 0.2 µs for each pixel, and 0.5 µs for each byte."""
_FILE_HEADER_BYTES = 14
_CORE, _INFO, _OS2, _V5 = 12, 40, 64, 124
_HEADERS = frozenset({_CORE, _INFO, 52, 56, _OS2, 108, _V5})
"""OS/2 1.x; Windows 3, with colour masks, with alpha; OS/2 2.x; versions 4 and 5 (Microsoft, "Bitmap Header Types")."""
_NONE, _RLE8, _RLE4, _MASKS, _ALPHA_MASKS = 0, 1, 2, 3, 6
_COMPRESSED = {_RLE8: 8, _RLE4: 4}
_OTHER_COMPRESSIONS = {4: "JPEG", 5: "PNG"}
_EMBEDDED = b"DEBM"
"""PROFILE_EMBEDDED, little-endian."""
_BITS = frozenset({1, 4, 8, 16, 24, 32})
_KNOWN_MASKS = frozenset(
    {
        (16, 0xF800, 0x7E0, 0x1F, 0), (16, 0x7C00, 0x3E0, 0x1F, 0), (24, 0xFF0000, 0xFF00, 0xFF, 0),
        (32, 0xFF0000, 0xFF00, 0xFF, 0), (32, 0xFF000000, 0xFF0000, 0xFF00, 0), (32, 0xFF000000, 0xFF00, 0xFF, 0),
        (32, 0xFF000000, 0xFF0000, 0xFF00, 0xFF), (32, 0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (32, 0xFF0000, 0xFF00, 0xFF, 0xFF000000), (32, 0xFF000000, 0xFF00, 0xFF, 0xFF0000),
    }
)  # fmt: skip
"""Bits a pixel, and the masks of red, green, blue and alpha, that Pillow unpacks."""


@dataclass(slots=True)
class _Header:
    size_bytes: int
    width_px: int
    height_px: int
    is_top_down: bool
    bits: int
    compression: int
    data_bytes: int
    colours: int


def scan(data: bytes) -> ContainerInfo:
    """Scan a BMP: one image, without what may follow its pixels.

    Raises:
        ImageError: ``invalid_image``: cut or malformed; ``unsupported_image_format``: pixels that are not decoded;
            ``image_too_many_pixels``: run lengths that would take too long to decode.

    """
    try:
        header = _read_header(data)
        masks = _read_masks(data, header)
    except struct.error:
        raise corrupt("BMP", "is cut short") from None
    after_header = _FILE_HEADER_BYTES + header.size_bytes
    if header.size_bytes == _INFO and header.compression in {_MASKS, _ALPHA_MASKS}:
        after_header += 12 if header.compression == _MASKS else 16
    palette, palette_end = _read_palette(data, header, after_header)
    (start,) = struct.unpack_from("<I", data, 10)
    start = start or palette_end
    end = start + _pixel_bytes(header, len(data) - start)
    if start < palette_end or end > len(data):
        raise corrupt("BMP", "is cut short, or contradicts itself about its size")
    image_spans: tuple[Span | bytes, ...] = (_rewritten(header, masks, palette), (start, end))
    profile = _icc_profile(data, header)
    return ContainerInfo(
        BMP,
        header.width_px,
        header.height_px,
        UPRIGHT,
        False,
        image_spans,
        icc_profile=profile,
        pixel_bytes=1 if header.bits <= 8 else 4,
    )


def _read_header(data: bytes) -> _Header:
    (size_bytes,) = struct.unpack_from("<I", data, _FILE_HEADER_BYTES)
    if size_bytes not in _HEADERS:
        raise corrupt("BMP", "has a header of an unknown size")
    if size_bytes == _CORE:
        width_px, height_px, _, bits = struct.unpack_from("<HHHH", data, 18)
        header = _Header(size_bytes, width_px, height_px, False, bits, _NONE, 0, 0)
    else:
        width_px, height_px, _, bits, compression, data_bytes, _, _, colours = struct.unpack_from(
            "<iiHHIIiiI", data, 18
        )
        header = _Header(size_bytes, width_px, abs(height_px), height_px < 0, bits, compression, data_bytes, colours)
    if header.width_px < 0:
        raise corrupt("BMP", "has a negative width")
    is_known = header.compression in {_NONE, _RLE8, _RLE4, _MASKS, _ALPHA_MASKS}
    # OS/2 has other methods by the numbers of the colour masks.
    if not is_known or (size_bytes == _OS2 and header.compression > _RLE4):
        name = _OTHER_COMPRESSIONS.get(header.compression, f"method {header.compression}")
        raise _unsupported(f"is compressed with {name}")
    if header.bits not in _BITS or _COMPRESSED.get(header.compression, header.bits) != header.bits:
        raise _unsupported(f"has {header.bits} bits a pixel by method {header.compression}")
    if header.compression in _COMPRESSED and header.is_top_down:
        raise corrupt("BMP", "is compressed and stored from the top, which the format forbids")
    return header


def _read_masks(data: bytes, header: _Header) -> tuple[int, int, int, int] | None:
    if header.compression not in {_MASKS, _ALPHA_MASKS}:
        return None
    # They follow a plain header, and are part of the larger ones at the same place.
    has_alpha = header.compression == _ALPHA_MASKS or header.size_bytes > 52
    red, green, blue = struct.unpack_from("<III", data, _FILE_HEADER_BYTES + _INFO)
    alpha = struct.unpack_from("<I", data, _FILE_HEADER_BYTES + _INFO + 12)[0] if has_alpha else 0
    if (header.bits, red, green, blue, alpha) not in _KNOWN_MASKS:
        raise _unsupported("has an unusual layout of colour bits")
    return red, green, blue, alpha


def _read_palette(data: bytes, header: _Header, start: int) -> tuple[bytes, int]:
    """Return the palette, blue first and 4 bytes a colour, padded to all that a pixel can name; and where it ends."""
    if header.bits > 8:
        return b"", start
    entry_bytes = 3 if header.size_bytes == _CORE else 4
    most = 1 << header.bits
    count = min(header.colours or most, most)
    (pixels_at,) = struct.unpack_from("<I", data, 10)
    if pixels_at:
        # OS/2 does not state the length, and some writers leave colours out.
        count = min(count, max(0, pixels_at - start) // entry_bytes)
    end = start + entry_bytes * count
    entries = data[start:end]
    if len(entries) < entry_bytes * count:
        raise corrupt("BMP", "is cut short")
    colours = b"".join(entries[at : at + 3] + b"\0" for at in range(0, len(entries), entry_bytes))
    return colours.ljust(4 * most, b"\0"), end


def _icc_profile(data: bytes, header: _Header) -> bytes | None:
    """Return the profile that a header of version 5 embeds (BITMAPV5HEADER); a damaged one counts as none."""
    if header.size_bytes != _V5 or data[_FILE_HEADER_BYTES + 56 : _FILE_HEADER_BYTES + 60] != _EMBEDDED:
        return None
    start, count = struct.unpack_from("<II", data, _FILE_HEADER_BYTES + 112)
    start += _FILE_HEADER_BYTES
    profile = data[start : start + count] if 0 < count <= MAX_PROFILE_BYTES else b""
    return profile if profile and len(profile) == count else None


def _pixel_bytes(header: _Header, left_bytes: int) -> int:
    if header.compression not in _COMPRESSED:
        return (header.width_px * header.bits + 31) // 32 * 4 * header.height_px
    pixels, size = header.width_px * header.height_px, header.data_bytes or max(0, left_bytes)
    for value, limit, unit in ((pixels, _MAX_RUN_LENGTH_PIXELS, "pixels"), (size, _MAX_RUN_LENGTH_BYTES, "bytes")):
        if value > limit:
            raise ImageError(
                "image_too_many_pixels",
                f"The BMP image has {value} {unit} in run lengths; the limit is {limit}. "
                "Save it without compression, or send it as PNG.",
                limit,
            )
    return size


def _rewritten(header: _Header, masks: tuple[int, int, int, int] | None, palette: bytes) -> bytes:
    """Write the headers and the palette of a file whose pixels follow."""
    info_bytes = 56 if masks else _INFO
    start = _FILE_HEADER_BYTES + info_bytes + len(palette)
    height_px = -header.height_px if header.is_top_down else header.height_px
    compression = _MASKS if masks else header.compression
    return b"".join(
        (
            struct.pack("<2sIHHI", b"BM", start, 0, 0, start),
            struct.pack("<IiiHHIIiiII", info_bytes, header.width_px, height_px, 1, header.bits, compression, 0, 0, 0,
                        len(palette) // 4, 0),
            struct.pack("<IIII", *masks) if masks else b"",
            palette,
        )
    )  # fmt: skip


def _unsupported(what: str) -> ImageError:
    return ImageError(
        "unsupported_image_format",
        f"The BMP image {what}, which is not supported. Save it with 24 bits a pixel, or convert it to PNG.",
    )


class BitmapFile(BmpImageFile):
    """A BMP of Pillow's, in which an alpha channel of zeros throughout counts as none, as in browsers."""

    def load_end(self) -> None:
        """Make an image opaque that would be invisible."""
        if self.mode == "RGBA" and self.im.getband(3).getextrema() == (0, 0):
            self.im.fillband(3, 255)


BMP = ImageFormat(
    name="BMP",
    media_type="image/bmp",
    recognizes=lambda data: data.startswith(b"BM") and data[15:18] == bytes(3),
    scan=scan,
    reader=BitmapFile,
    is_common=False,
)
