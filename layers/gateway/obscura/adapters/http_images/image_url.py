"""The spelling of an image URL: refused when odd, else parsed once."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from obscura.adapters.http_images.origin import Origin, read_origin
from obscura.adapters.http_images.refusal import Refused
from obscura.errors import InvalidImageUrl

_MAX_LENGTH = 8192
_ODD = re.compile(r"[\s\x00-\x1f\x7f-\x9f\\]")
_PARTS = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?//([^/?#]*)([^#]*)"
)  # RFC 3986 Appendix B; the fragment stays behind
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_URI_CHARACTERS = "%-._~:/?#[]@!$&'()*+,;="  # RFC 3986 §2, beside letters and digits


@dataclass(frozen=True, slots=True)
class ImageUrl:
    """A URL taken apart: what is checked, connected to, and asked for is this, never the text again.

    ``target`` is path and query as they go on the request line: ASCII, beginning with a slash.
    """

    origin: Origin
    target: str


def read_image_url(text: str) -> ImageUrl:
    """Parse an absolute URL of any scheme (RFC 3986), or raise Refused; the fragment is dropped.

    Characters that no URI may hold (RFC 3986 §2) are percent-encoded as UTF-8 in path and query, as browsers do.
    """
    _refuse_odd(text)
    parts = _PARTS.match(text)
    if parts is None:
        raise Refused(InvalidImageUrl, "is not an absolute https:// URL")
    scheme, authority, target = parts.groups(default="")
    origin = read_origin(scheme.lower(), authority)
    return ImageUrl(origin, _encode(target if target.startswith("/") else f"/{target}"))


def read_redirect(base: ImageUrl, location: bytes) -> ImageUrl:
    """Resolve a Location header against the URL that answered with it (RFC 9110 §10.2.2), or raise Refused."""
    try:
        text = location.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(InvalidImageUrl, "is not UTF-8") from None
    # Before urljoin sees it: that drops control characters, and so would join something else than what was checked.
    _refuse_odd(text)
    if _SCHEME.match(text):
        return read_image_url(text)
    if text.startswith("//"):
        return read_image_url(f"{base.origin.scheme}:{text}")
    return read_image_url(urljoin(f"{base.origin.scheme}://{base.origin.authority}{base.target}", text))


def _refuse_odd(text: str) -> None:
    if len(text) > _MAX_LENGTH:
        raise Refused(InvalidImageUrl, f"is longer than {_MAX_LENGTH} characters, the limit")
    if _ODD.search(text):
        raise Refused(
            InvalidImageUrl,
            "contains a space, a control character or a backslash",
            "percent-encode it where it belongs to the path (%20 for a space)",
        )


def _encode(target: str) -> str:
    try:
        encoded = quote(target, safe=_URI_CHARACTERS)
    except UnicodeEncodeError:
        raise Refused(InvalidImageUrl, "contains half of a surrogate pair, which is no character") from None
    if len(encoded) > _MAX_LENGTH:
        raise Refused(InvalidImageUrl, f"is longer than {_MAX_LENGTH} characters when percent-encoded, the limit")
    return encoded
