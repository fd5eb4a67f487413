"""Finds media and addresses in strings, however they are encoded; knows nothing of how the gateway reads them."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from tests.security.shapes.plants import planted_bytes

_SIGNATURES = (
    (
        "image",
        re.compile(
            rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|II\*\x00|MM\x00\*|BM....\x00{4}", re.DOTALL
        ),
    ),
    ("image", re.compile(rb"....ftyp(?:avi[fs]|hei[cfxs]|mif1|msf1)|\x00{3}\x0cjP  |8BPS", re.DOTALL)),
    ("video", re.compile(rb"....(?:ftyp|moov|mdat)|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL)),
    ("audio", re.compile(rb"RIFF....WAVE|ID3[\x02-\x04]|OggS|fLaC|\xff[\xf1\xf9\xfb\xf3\xf2]..", re.DOTALL)),
    ("document", re.compile(rb"%PDF-|PK\x03\x04|\xd0\xcf\x11\xe0|\{\\rtf")),
    ("image", re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<svg[\s>]", re.DOTALL)),
)
_DATA_URL = re.compile(r"data:([^,]{0,200}),", re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_HEX_RUN = re.compile(r"(?:[0-9a-fA-F]{2}[\s:]?){16,}")
_SPACE = re.compile(r"\s+")
_KNOWN_STARTS = re.compile(
    r"iVBORw0KGgo|/9j/|_9j_|R0lGOD|UklGR|JVBERi0|SUkq|TU0A|AAAA[A-Za-z0-9+/_-]{2}ZnR5c|GkXf|UEsDB"
)
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/|//[^/\s]|(?:data|blob|file|javascript):", re.IGNORECASE)
_URL_IGNORED = re.compile(r"[\0-\x20]+")
"""What a URL parser drops or skips (WHATWG URL Standard, "basic URL parser")."""


@dataclass(frozen=True, slots=True)
class Media:
    """Media that were found: ``kind`` by the first bytes, ``how`` they were encoded."""

    kind: str
    how: str
    data: bytes


def kind_of(data: bytes) -> str | None:
    """Return image, video, audio or document by the first bytes, or the planted pixels; None if it is neither."""
    for kind, signature in _SIGNATURES:
        if signature.match(data):
            return kind
    return "image" if any(planted in data for planted in planted_bytes()) else None


def from_base64(text: str) -> bytes | None:
    """Decode base64 of either alphabet, with or without padding and white space; None if it is none."""
    packed = _SPACE.sub("", text).rstrip("=").translate(str.maketrans("-_", "+/"))
    if not packed.isascii():
        return None
    try:
        return base64.b64decode(packed[: len(packed) - (len(packed) % 4 == 1)] + "===", validate=False)
    except (binascii.Error, ValueError):
        return None


def decoded_data_url(text: str) -> bytes | None:
    """Decode a data URL (RFC 2397 §3); None if the text is none."""
    text = text.lstrip()
    found = _DATA_URL.match(text)
    if not found:
        return None
    rest = text[found.end() :]
    if "base64" in found[1].lower():
        return from_base64(unquote_to_bytes(rest).decode("latin-1") if "%" in rest else rest)
    return unquote_to_bytes(rest)


@lru_cache(maxsize=4096)
def media_in(text: str) -> tuple[Media, ...]:
    """Return all media in a string: as data URLs, base64 (once or twice), hex or percent-encoding."""
    found: dict[bytes, Media] = {}
    for media in _media_in(text):
        if not any(inner in media.data for inner in found):  # the same again, with what stands before it
            found[media.data] = media
    return tuple(found.values())


def _media_in(text: str) -> Iterator[Media]:
    for found in _DATA_URL.finditer(text):
        data = decoded_data_url(text[found.start() :])
        kind = data and kind_of(data)
        if data is not None and (kind or re.match(r"(?:image|video|audio)/|application/pdf", found[1], re.IGNORECASE)):
            yield Media(kind or "image", _how("data URL", text, text[found.start() :]), data)
    for candidate in _base64_candidates(text):
        data = from_base64(candidate)
        for how, inner in (("base64", data), ("base64 twice", data and _again(data))):
            if inner and (kind := kind_of(inner)):
                yield Media(kind, _how(how, text, candidate), inner)
    for run in _HEX_RUN.finditer(text):
        data = bytes.fromhex(re.sub(r"[\s:]", "", run[0]))
        if kind := kind_of(data):
            yield Media(kind, "hex", data)
    if text.count("%") > 7:
        data = unquote_to_bytes(text)
        if kind := kind_of(data):
            yield Media(kind, "percent", data)


def _how(encoding: str, text: str, part: str) -> str:
    return encoding if len(text.strip()) == len(part.strip()) else f"{encoding} inside a text"


def _base64_candidates(text: str) -> Iterator[str]:
    yield text
    for run in _RUN.finditer(text):
        if run[0] != text:
            yield run[0]
    for start in _KNOWN_STARTS.finditer(text):
        if start.start():
            yield text[start.start() :]


def _again(data: bytes) -> bytes | None:
    return from_base64(data.decode()) if len(data) > 23 and _RUN.fullmatch(data[:4096].decode("latin-1")) else None


def media_in_numbers(numbers: Sequence[object]) -> Media | None:
    """Return the media that a list of numbers spells byte by byte."""
    if len(numbers) < 16 or not all(isinstance(each, int) and 0 <= each < 256 for each in numbers):
        return None
    data = bytes(each for each in numbers if isinstance(each, int))
    kind = kind_of(data)
    return Media(kind, "integers", data) if kind else None


def is_url(text: str) -> bool:
    """Whether a string as a whole is a URL, as lenient URL parsers read it: white space and controls do not count."""
    stripped = text.strip("".join(map(chr, range(33))))
    return bool(_URL.match(_URL_IGNORED.sub("", stripped[:200]))) and " " not in stripped
