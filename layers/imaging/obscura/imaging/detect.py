"""Which format a file is, by its first bytes; never by what its sender declares."""

from obscura.imaging.container import SourceFormat
from obscura.imaging.errors import ImageError

_SUPPORTED: tuple[tuple[bytes, SourceFormat], ...] = (
    (b"\xff\xd8\xff", SourceFormat.JPEG),
    (b"\x89PNG\r\n\x1a\n", SourceFormat.PNG),
    (b"GIF87a", SourceFormat.GIF),
    (b"GIF89a", SourceFormat.GIF),
)

_UNSUPPORTED: tuple[tuple[bytes, str], ...] = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"\0\0\1\0", "ICO"),
    (b"8BPS", "PSD"),
    (b"%PDF-", "PDF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
)

# ISO/IEC 14496-12 §4.3: the major brand stands behind "ftyp". HEIF's brands: ISO/IEC 23008-12; AVIF's: its own §6.
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1")
_TEXT_WINDOW_BYTES = 1024


def detect_format(data: bytes) -> SourceFormat:
    """Tell the format of ``data`` by its signature.

    Raises:
        ImageError: ``unsupported_image_format``, by name where the format is known.

    """
    for signature, source_format in _SUPPORTED:
        if data.startswith(signature):
            return source_format
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return SourceFormat.WEBP
    name = _unsupported_name(data)
    if name is None:
        message = "The bytes are not an image of a known format. Send a PNG, JPEG, WEBP or GIF."
    else:
        message = f"{name} is not supported. Convert it to PNG, JPEG, WEBP or GIF."
    raise ImageError("unsupported_image_format", message)


def _unsupported_name(data: bytes) -> str | None:
    for signature, name in _UNSUPPORTED:
        if data.startswith(signature):
            return name
    if data[4:8] == b"ftyp":
        return _iso_media_name(data)
    opening = data[:_TEXT_WINDOW_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if opening.startswith(b"<svg") or (
        opening.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in opening
    ):
        return "SVG"
    if opening.startswith((b"<!doctype html", b"<html")):
        return "An HTML page"
    return None


def _iso_media_name(data: bytes) -> str:
    brand = data[8:12]
    if brand in _AVIF_BRANDS:
        return "AVIF"
    if brand in _HEIF_BRANDS:
        # AVIF and HEIC files may both lead with HEIF's structural brand: the compatible brands behind it decide.
        compatible = data[16 : min(int.from_bytes(data[:4]), 256)]
        return "AVIF" if any(brand in compatible for brand in _AVIF_BRANDS) else "HEIC/HEIF"
    return "Video (MP4, QuickTime)"
