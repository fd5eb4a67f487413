"""Data URLs (RFC 2397) with strict base64 (RFC 4648 §4), read from a JSON string's bytes and written as ASCII."""

import re

import pybase64

from obscura.errors import ImageTooLarge, InvalidImage, InvalidImageUrl

_MAX_HEADER_CHARS = 256
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]")
_SEARCH_BYTES = 512 * 1024
_JSON_ESCAPES = {
    rb"\/": b"/",
    rb"\u002b": b"+",
    rb"\u002B": b"+",
    rb"\u002f": b"/",
    rb"\u002F": b"/",
    rb"\u003d": b"=",
    rb"\u003D": b"=",
}


def is_data_url(source: memoryview) -> bool:
    """Whether a JSON string's bytes begin a data URL; the scheme's letter case does not matter (RFC 3986 §3.1)."""
    return bytes(source[:5]).lower() == b"data:"


def base64_of(source: memoryview) -> memoryview:
    """Return the base64 of a data URL, given as a JSON string's bytes with their escapes: a view of the same bytes.

    The media type is ignored: the bytes decide. Raises InvalidImageUrl without ``;base64,``.
    """
    header, comma, _ = bytes(source[:_MAX_HEADER_CHARS]).partition(b",")
    if not comma or not header.lower().endswith(b";base64"):
        raise InvalidImageUrl("The data URL must be base64: 'data:image/png;base64,' and the image's bytes.")
    return source[len(header) + 1 :]


def decode_base64(encoded: memoryview, max_bytes: int) -> bytes:
    """Decode an image from a JSON string's bytes with their escapes.

    Raises InvalidImage on anything but the standard alphabet and padding, ImageTooLarge over ``max_bytes``.
    """
    try:
        image = pybase64.b64decode(encoded, validate=True)
    except ValueError:
        image = _decode_escaped(bytes(encoded))
    if len(image) > max_bytes:
        raise ImageTooLarge(
            f"The image has {len(image):,} bytes; one image may have {max_bytes:,}. Shrink it or save it as JPEG."
        )
    return image


def encode_data_url(image: bytes, media_type: str) -> bytes:
    """Encode an image as an ASCII data URL."""
    return b"data:%b;base64,%b" % (media_type.encode(), pybase64.b64encode(image))


def _decode_escaped(encoded: bytes) -> bytes:
    """Decode base64 again, with the escapes resolved that some JSON writers put into it."""
    for escape, character in _JSON_ESCAPES.items():
        encoded = encoded.replace(escape, character)
    try:
        return pybase64.b64decode(encoded, validate=True)
    except ValueError:
        raise InvalidImage(_describe_error(encoded)) from None


def _describe_error(encoded: bytes) -> str:
    starts = range(0, len(encoded), _SEARCH_BYTES)  # one search of all would keep every other thread from running
    found = (_NOT_BASE64.search(encoded, start, start + _SEARCH_BYTES) for start in starts)
    match = next(filter(None, found), None)
    if match is None:
        return "The base64 is cut off or wrongly padded: its length must be a multiple of four, '=' last."
    if match[0] in b"-_":
        return "The base64 is in the URL-safe alphabet ('-', '_'). Send the standard one ('+', '/')."
    if match[0].isspace() or match[0] == b"\\":
        return "The base64 has whitespace or escapes in it. Send it as one unbroken line."
    return "The base64 has characters outside of its alphabet. Send standard base64."
