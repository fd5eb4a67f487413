"""Which format a file has, by its first bytes; never by its declared type."""

from obscura.imaging.container import ImageFormat
from obscura.imaging.errors import ImageError
from obscura.imaging.formats import FORMATS, SUPPORTED_FORMATS

_UNSUPPORTED: tuple[tuple[bytes, str], ...] = (
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"\0\0\1\0", "ICO"),
    (b"8BPS", "PSD"),
    (b"%PDF-", "PDF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
)

_TEXT_WINDOW_BYTES = 1024


def detect_format(data: bytes) -> ImageFormat:
    """Return the format of ``data`` by its signature.

    Raises:
        ImageError: ``unsupported_image_format``, by name if the format is known; also for a format whose decoder this
            deployment was made without.

    """
    for image_format in FORMATS.values():
        if image_format.recognizes(data):
            if not image_format.is_available:
                raise ImageError(
                    "unsupported_image_format",
                    f"This deployment has no {image_format.name} decoder. Convert the image to {SUPPORTED_FORMATS}.",
                )
            return image_format
    name = _unsupported_name(data)
    if name is None:
        message = f"The bytes are not an image of a known format. Send a {SUPPORTED_FORMATS}."
    else:
        message = f"{name} is not supported. Convert it to {SUPPORTED_FORMATS}."
    raise ImageError("unsupported_image_format", message)


def _unsupported_name(data: bytes) -> str | None:
    for signature, name in _UNSUPPORTED:
        if data.startswith(signature):
            return name
    if data[4:8] == b"ftyp":
        return "Video (MP4, QuickTime)"
    opening = data[:_TEXT_WINDOW_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if opening.startswith(b"<svg") or (
        opening.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in opening
    ):
        return "SVG"
    if opening.startswith((b"<!doctype html", b"<html")):
        return "An HTML page"
    return None
