"""Whether a string could be media or lead to it, whatever field it stands in: by its content alone.

Used for strings that no rule of a dialect's field table knows to be text. A string is decoded in every way in which a
server might read an image out of it, and its first bytes are compared with the signatures of media formats.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Iterator
from enum import Enum
from urllib.parse import unquote, unquote_to_bytes

MAX_RUN_CHARS = 4096
"""A longer run without white space is no text: no word, identifier or key of any API is as long."""

_SIGNATURE_BYTES = 48
_MAX_HEADER_CHARS = 512
_MAX_LAYERS = 4
"""How many times over base64 is decoded."""
_MIN_ENCODED_CHARS = 24
"""No image is shorter, however it is encoded: the smallest GIF that decodes has 26 bytes."""

_URL = re.compile(
    r"[\x00-\x20]*(?:(?:[a-z][a-z0-9+.\-]{0,30}:)?[\\/]{2}|(?:data|blob|file|cid|about|https?|ftp):(?=\S))",
    re.IGNORECASE,
)
_DATA_URL = re.compile(r"data:[ \t]*[\w.+\-]+/[\w.+\-]+[ \t]*[;,]")
_BASE64_MARK = re.compile(r"base64[ \t]*,")
# What parts runs: a search for a run of a length would begin again at each of its characters.
_BETWEEN_RUNS = re.compile(r"[^!-~\x80-\xff]+")
_BETWEEN_NUMBERS = re.compile(rb"[^\d\s,.+\-eE\[\]]+")
_BYTE_LIST = re.compile(rb"\[\s*\d{1,3}\s*(?:,\s*\d{1,3}\s*){15,47}")
_IGNORED_IN_BASE64 = re.compile(r"\s+|\\[nrt\\/]|\\u00[0-9a-f]{2}|=", re.IGNORECASE)
_BASE64_RUN = re.compile(rf"[A-Za-z0-9+/_\-]{{{_MIN_ENCODED_CHARS},}}")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/_\-]+")
_HEX = re.compile(r"(?:0x)?(?:(?:\\x|[\s,:])*[0-9a-f]{2}){10}", re.IGNORECASE)
_NOT_HEX = re.compile(r"\\x|0x|[\s,:]", re.IGNORECASE)
_BASE32_RUN = re.compile(r"[A-Z2-7]{16}")

_IMAGE_STARTS = (
    *(b"\x89PNG", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\1\0"),
    *(b"8BPS", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"qoif", b"<svg", b"<?xml"),
)
_DOCUMENT_STARTS = (b"%PDF-", b"%!PS", b"PK\3\4", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf")
_RECORDING_STARTS = (b"OggS", b"fLaC", b"ID3", b"\x1a\x45\xdf\xa3")
_BMP_HEADER_BYTES = (12, 40, 52, 56, 64, 108, 124)
_IMAGE_BRANDS = (b"avif", b"avis", b"mif1", b"mif2", b"msf1", b"hei", b"hev")
PDF_START = b"%PDF-"


class MediaKind(Enum):
    """What a file is by its first bytes."""

    IMAGE = "image"
    PDF = "PDF"
    DOCUMENT = "document"
    RECORDING = "audio or video"


def media_kind(data: bytes) -> MediaKind | None:
    """Return what bytes begin as (the formats' own specifications), None if as no known format.

    Two bytes are no signature: a BMP must also have a header of a known size, an MP3 frame a valid first word.
    """
    if data.startswith(_IMAGE_STARTS) or (
        data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_BYTES
    ):
        return MediaKind.IMAGE
    if data[4:8] == b"ftyp":
        return MediaKind.IMAGE if data[8:12].startswith(_IMAGE_BRANDS) else MediaKind.RECORDING
    if data[:4] == b"RIFF" and data[8:12] in {b"WEBP", b"WAVE", b"AVI "}:
        return MediaKind.IMAGE if data[8:12] == b"WEBP" else MediaKind.RECORDING
    if data.startswith(_DOCUMENT_STARTS):
        return MediaKind.PDF if data.startswith(PDF_START) else MediaKind.DOCUMENT
    mp3_frame = len(data) > 3 and data[0] == 0xFF and data[1] in {0xFB, 0xF3, 0xF2, 0xF1, 0xF9}
    if data.startswith(_RECORDING_STARTS) or (mp3_frame and data[2] not in {0, 0xFF}):
        return MediaKind.RECORDING
    return None


def holds_media(text: str) -> bool:
    """Whether a string decodes to media: base64 of any alphabet and padding, hex, base32, base85, or its raw bytes."""
    if len(text) < _MIN_ENCODED_CHARS:
        return False
    return any(media_kind(start) is not None for start in _decoded_starts(text))


def token_holds_media(token: str) -> bool:
    """Whether a short string without white space and punctuation decodes to media: as base64 or hex."""
    if base64_kind(token) is not None:
        return True
    return _HEX.match(token) is not None and media_kind(_start(bytes.fromhex, token, 2)) is not None


def base64_kind(encoded: str) -> MediaKind | None:
    """Return what base64 or a data URL decodes to, by its first bytes."""
    _, comma, data = encoded[:_MAX_HEADER_CHARS].partition(",")
    start = _IGNORED_IN_BASE64.sub("", data if comma else encoded[:_MAX_HEADER_CHARS])
    return media_kind(_start(base64.b64decode, start[:64].replace("-", "+").replace("_", "/"), 4))


def base64_kinds(encoded: str) -> set[MediaKind]:
    """Return what base64 or a data URL decodes to, over and over if it is base64 of base64."""
    _, comma, data = encoded[:_MAX_HEADER_CHARS].partition(",")
    starts = _from_base64(data if comma else encoded)
    return {kind for kind in map(media_kind, starts) if kind is not None}


def leads_to_media(text: str) -> bool:
    """Whether a string is a URL, of whatever scheme, or has a data URL in it; percent-encoded ones too."""
    plain = unquote(text) if "%" in text else text
    return _URL.match(plain) is not None or holds_data_url(plain)


def holds_data_url(text: str) -> bool:
    """Whether there is a data URL anywhere in a string."""
    lowered = text.lower()
    return _DATA_URL.search(lowered) is not None or _BASE64_MARK.search(lowered) is not None


def is_opaque(text: str) -> bool:
    """Whether a string has a run of over ``MAX_RUN_CHARS`` characters that is no text."""
    return len(text) > MAX_RUN_CHARS and max(map(len, _BETWEEN_RUNS.split(text))) > MAX_RUN_CHARS


def holds_numbered_media(json_text: bytes) -> bool:
    """Whether a JSON text has a list of numbers that are the bytes of media, or over ``MAX_RUN_CHARS`` characters."""
    if len(json_text) > MAX_RUN_CHARS and max(map(len, _BETWEEN_NUMBERS.split(json_text))) > MAX_RUN_CHARS:
        return True
    lists = (found[0].strip(b"[ ").split(b",") for found in _BYTE_LIST.finditer(json_text))
    return any(media_kind(bytes(int(number) & 0xFF for number in numbers)) for numbers in lists)


def _decoded_starts(text: str) -> Iterator[bytes]:
    """Yield the first bytes of what a string may decode to."""
    plain = text
    if "%" in text:
        yield unquote_to_bytes(text[: 3 * _SIGNATURE_BYTES])
        plain = unquote(text)
    head = plain[:_SIGNATURE_BYTES]
    if head.isascii() or all(char <= "\xff" for char in head):
        yield head.encode("latin-1").lstrip()
    without_space = _IGNORED_IN_BASE64.sub("", plain)
    for written in (plain, without_space) if len(without_space) < len(plain) else (plain,):
        for run in _BASE64_RUN.finditer(written):
            yield from _from_base64(run[0])
    # As lenient decoders read it: letters of other widths as the usual ones, and what is no base64 passed over.
    yield from _from_base64(_NOT_BASE64.sub("", unicodedata.normalize("NFKC", plain[:_MAX_HEADER_CHARS])))
    if _HEX.match(plain.lstrip()):
        yield _start(bytes.fromhex, _NOT_HEX.sub("", plain[:400])[: 2 * _SIGNATURE_BYTES], 2)
    if _BASE32_RUN.match(upper := without_space[:80].upper()):
        yield _start(base64.b32decode, upper, 8)
    if not any(map(str.isspace, head)):
        yield _start(base64.b85decode, plain[:60], 5)
        whole = plain.removeprefix("<~")[:60]
        yield from (_start(base64.a85decode, whole[: len(whole) - cut], 1) for cut in range(5))


def _from_base64(encoded: str) -> Iterator[bytes]:
    """Yield the first bytes of base64, and what they are if they are base64 again."""
    head = encoded[:_MAX_HEADER_CHARS].replace("-", "+").replace("_", "/")
    for _ in range(_MAX_LAYERS):
        decoded = _start(base64.b64decode, head, 4)
        yield decoded
        if not _BASE64_RUN.match(head := decoded.decode("latin-1")):
            return


def _start(decode: Callable[[str], bytes], encoded: str, group: int) -> bytes:
    """Decode the whole groups of some characters; nothing if they are not of that encoding."""
    try:
        return decode(encoded[: len(encoded) - len(encoded) % group])
    except (ValueError, binascii.Error):
        return b""
