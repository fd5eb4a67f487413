"""Rules on image URLs: strict parsing into an origin and a target, and which origins are fetched."""

import re
from collections.abc import Set
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

from obscura.errors import InvalidImageUrl, UnsafeImageUrl
from obscura.fetch.addresses import is_address, is_globally_routable
from obscura.fetch.errors import FetchRejected

_DEFAULT_PORTS = {"https": 443, "http": 80}
_MAX_HOST_LENGTH = 253  # RFC 1035 §2.3.4, less the root label and its length
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_BRACKETED = re.compile(r"\[([0-9a-fA-F:.]+)\](?::(.*))?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")

_MAX_URL_LENGTH = 8192
_ODD_CHARACTER = re.compile(r"[\s\x00-\x1f\x7f-\x9f\\]")
_PARTS = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?//([^/?#]*)([^#]*)")  # RFC 3986 Appendix B, without the fragment
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_URI_CHARACTERS = "%-._~:/?#[]@!$&'()*+,;="  # RFC 3986 §2, beside letters and digits

# RFC 6761 (localhost), RFC 6762 (local), RFC 8375 (home.arpa), ICANN's reservation of internal (clouds' metadata too),
# and localdomain, which hosts files have always used.
_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "home.arpa")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port (RFC 6454), normalized, so that origins can be compared; an operator allows them as a unit.

    scheme    lower case; empty if the URL has none
    host      a name in lower case, a dotted quad, or an IPv6 address without brackets
    port      0 if the URL names none and its scheme has no default here
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host, and the port unless it is the scheme's default, as in the Host header (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"


def parse_authority(scheme: str, authority: str) -> Origin:
    """Parse the authority of a URL (RFC 3986 §3.2); raises FetchRejected for spellings that parsers disagree about.

    These are rejected before the authority is split, so that there is only one way to split it.
    """
    if not authority:
        raise FetchRejected(InvalidImageUrl, "names no host")
    if not authority.isascii():
        raise FetchRejected(
            InvalidImageUrl, "has a host in other than ASCII letters", "write the host in punycode (xn--…)"
        )
    if "@" in authority:
        raise FetchRejected(InvalidImageUrl, "has a user name or password, or another @ before its path")
    if "%" in authority:
        raise FetchRejected(InvalidImageUrl, "has a % before its path", "write the host and port out in plain letters")
    host, port = _split_port(authority)
    return Origin(scheme, host, _DEFAULT_PORTS.get(scheme, 0) if port is None else _parse_port(port))


def parse_origin(text: str) -> Origin:
    """Parse an entry of OBSCURA_FETCH_ALLOW, such as ``https://images.internal`` or ``http://127.0.0.1:9000``.

    Raises ValueError unless it is ``http`` or ``https``, a host, and maybe a port.
    """
    scheme, separator, authority = text.removesuffix("/").partition("://")
    form = "an allowed origin is written as https://images.internal or http://127.0.0.1:9000"
    if not separator or scheme.lower() not in _DEFAULT_PORTS:
        raise ValueError(f"{text!r} does not begin with https:// or http://; {form}")
    try:
        origin = parse_authority(scheme.lower(), authority)
    except FetchRejected as error:
        raise ValueError(f"{text!r} {error.reason}; {form}") from None
    if is_disguised_address(origin.host):
        raise ValueError(f"{text!r} has an IPv4 address that is not four decimal numbers; {form}")
    return origin


def is_disguised_address(host: str) -> bool:
    """Whether some parsers take a host for an IPv4 address though it is not written as a dotted quad.

    Such hosts end in a number (WHATWG URL, "ends in a number checker"): 2130706433, 0x7f.1, 127.1, 0177.0.0.1.
    """
    if ":" in host or not _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        return False
    try:
        return str(IPv4Address(host)) != host
    except ValueError:
        return True


def _split_port(authority: str) -> tuple[str, str | None]:
    if authority.startswith("["):
        bracketed = _BRACKETED.fullmatch(authority)
        if bracketed is None:
            raise FetchRejected(InvalidImageUrl, "has a malformed IPv6 address")
        return _parse_ipv6(bracketed[1]), bracketed[2]
    host, colon, port = authority.partition(":")
    return _parse_name(host), port if colon else None


def _parse_ipv6(text: str) -> str:
    try:
        return IPv6Address(text).compressed
    except ValueError:
        raise FetchRejected(InvalidImageUrl, "has a malformed IPv6 address") from None


def _parse_name(text: str) -> str:
    name = text.lower()
    if not name:
        raise FetchRejected(InvalidImageUrl, "names no host")
    if len(name) > _MAX_HOST_LENGTH or any(len(label) > 63 for label in name.split(".")):
        raise FetchRejected(InvalidImageUrl, "has a host longer than DNS allows (253 letters, 63 between two dots)")
    if "" in name.split("."):
        raise FetchRejected(InvalidImageUrl, "has a host that begins or ends with a dot, or has two in a row")
    if not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise FetchRejected(InvalidImageUrl, "has a host with other than letters, digits, hyphens and dots")
    return name


def _parse_port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise FetchRejected(
            InvalidImageUrl, "has a colon after its host, but no port number from 1 to 65535 after that"
        )
    return int(text)


@dataclass(frozen=True, slots=True)
class ImageUrl:
    """A parsed URL: what is checked, connected to and requested is this, never the text again.

    ``target`` is path and query as on the request line: ASCII, beginning with a slash.
    """

    origin: Origin
    target: str


def parse_image_url(text: str) -> ImageUrl:
    """Parse an absolute URL of any scheme (RFC 3986); raises FetchRejected. The fragment is dropped.

    Characters that no URI may have (RFC 3986 §2) are percent-encoded as UTF-8 in path and query, as browsers do.
    """
    _reject_odd_characters(text)
    parts = _PARTS.match(text)
    if parts is None:
        raise FetchRejected(InvalidImageUrl, "is not an absolute https:// URL")
    scheme, authority, target = parts.groups(default="")
    origin = parse_authority(scheme.lower(), authority)
    return ImageUrl(origin, _encode(target if target.startswith("/") else f"/{target}"))


def resolve_redirect(base: ImageUrl, location: bytes) -> ImageUrl:
    """Resolve a Location header against the URL that redirected (RFC 9110 §10.2.2); raises FetchRejected."""
    try:
        text = location.decode("utf-8")
    except UnicodeDecodeError:
        raise FetchRejected(InvalidImageUrl, "is not UTF-8") from None
    # Before urljoin, which drops control characters and so would join something other than what was checked.
    _reject_odd_characters(text)
    if _SCHEME.match(text):
        return parse_image_url(text)
    if text.startswith("//"):
        return parse_image_url(f"{base.origin.scheme}:{text}")
    return parse_image_url(urljoin(f"{base.origin.scheme}://{base.origin.authority}{base.target}", text))


def _reject_odd_characters(text: str) -> None:
    if len(text) > _MAX_URL_LENGTH:
        raise FetchRejected(InvalidImageUrl, f"is longer than {_MAX_URL_LENGTH} characters, the limit")
    if _ODD_CHARACTER.search(text):
        raise FetchRejected(
            InvalidImageUrl,
            "contains a space, a control character or a backslash",
            "percent-encode it where it belongs to the path (%20 for a space)",
        )


def _encode(target: str) -> str:
    try:
        encoded = quote(target, safe=_URI_CHARACTERS)
    except UnicodeEncodeError:
        raise FetchRejected(InvalidImageUrl, "contains half of a surrogate pair, which is not a character") from None
    if len(encoded) > _MAX_URL_LENGTH:
        raise FetchRejected(
            InvalidImageUrl, f"is longer than {_MAX_URL_LENGTH} characters when percent-encoded, the limit"
        )
    return encoded


def require_allowed(url: ImageUrl, allowed: Set[Origin]) -> None:
    """Raise FetchRejected unless ``url`` is https on port 443 of a host that may be public, or of an allowed origin.

    The target is checked before the scheme: http://127.0.0.1/ is unsafe rather than invalid.
    """
    origin = url.origin
    if origin in allowed:
        return
    if is_disguised_address(origin.host):
        raise FetchRejected(UnsafeImageUrl, "has an IPv4 address that is not written as four decimal numbers")
    if is_address(origin.host) and not is_globally_routable(origin.host):
        raise FetchRejected(UnsafeImageUrl, "points to an address that is not of the public internet")
    if any(origin.host == name or origin.host.endswith(f".{name}") for name in _LOCAL_NAMES):
        raise FetchRejected(UnsafeImageUrl, "points to a name that exists in local networks only")
    if origin.scheme != "https":
        raise FetchRejected(InvalidImageUrl, "does not begin with https://, the only scheme that is fetched")
    if origin.port != 443:
        raise FetchRejected(UnsafeImageUrl, "names a port other than 443, the only one that is fetched")
