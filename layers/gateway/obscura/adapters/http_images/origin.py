"""Scheme, host and port of a URL: read strictly, and the unit that an operator can allow."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from obscura.adapters.http_images.refusal import Refused
from obscura.errors import InvalidImageUrl

_DEFAULT_PORTS = {"https": 443, "http": 80}
_MAX_HOST_LENGTH = 253  # RFC 1035 §2.3.4, less the root label and its length
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_BRACKETED = re.compile(r"\[([0-9a-fA-F:.]+)\](?::(.*))?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL points (RFC 6454), in one spelling, so that origins can be compared.

    scheme    lower case; empty when the URL has none
    host      a name in lower case, a dotted quad, or an IPv6 address without brackets
    port      0 when the URL names none and its scheme has no default here
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port: as the Host header has them (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"


def read_origin(scheme: str, authority: str) -> Origin:
    """Read the authority of a URL (RFC 3986 §3.2); raises Refused for spellings that parsers disagree about.

    These are looked for before anything is taken apart, so that there is only one way to take it apart.
    """
    if not authority:
        raise Refused(InvalidImageUrl, "names no host")
    if not authority.isascii():
        raise Refused(InvalidImageUrl, "has a host in other than ASCII letters", "write the host in punycode (xn--…)")
    if "@" in authority:
        raise Refused(InvalidImageUrl, "carries a user name or password, or another @ before its path")
    if "%" in authority:
        raise Refused(InvalidImageUrl, "has a % before its path", "write the host and port out in plain letters")
    host, port = _split_port(authority)
    return Origin(scheme, host, _DEFAULT_PORTS.get(scheme, 0) if port is None else _read_port(port))


def parse_origin(text: str) -> Origin:
    """Read an entry of OBSCURA_FETCH_ALLOW, such as ``https://images.internal`` or ``http://127.0.0.1:9000``.

    Raises ValueError when it is anything but ``http`` or ``https``, a host, and maybe a port.
    """
    scheme, separator, authority = text.removesuffix("/").partition("://")
    form = "an allowed origin is written as https://images.internal or http://127.0.0.1:9000"
    if not separator or scheme.lower() not in _DEFAULT_PORTS:
        raise ValueError(f"{text!r} does not begin with https:// or http://; {form}")
    try:
        origin = read_origin(scheme.lower(), authority)
    except Refused as refused:
        raise ValueError(f"{text!r} {refused.clause}; {form}") from None
    if is_disguised_address(origin.host):
        raise ValueError(f"{text!r} spells an IPv4 address unusually; {form}")
    return origin


def is_disguised_address(host: str) -> bool:
    """Say whether a host that some parsers take for an IPv4 address is spelled in another way than a dotted quad.

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
            raise Refused(InvalidImageUrl, "has a malformed IPv6 address")
        return _read_ipv6(bracketed[1]), bracketed[2]
    host, colon, port = authority.partition(":")
    return _read_name(host), port if colon else None


def _read_ipv6(text: str) -> str:
    try:
        return IPv6Address(text).compressed
    except ValueError:
        raise Refused(InvalidImageUrl, "has a malformed IPv6 address") from None


def _read_name(text: str) -> str:
    name = text.lower()
    if not name:
        raise Refused(InvalidImageUrl, "names no host")
    if len(name) > _MAX_HOST_LENGTH or any(len(label) > 63 for label in name.split(".")):
        raise Refused(InvalidImageUrl, "has a host longer than DNS allows (253 letters, 63 between two dots)")
    if "" in name.split("."):
        raise Refused(InvalidImageUrl, "has a host that begins or ends with a dot, or has two in a row")
    if not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise Refused(InvalidImageUrl, "has a host with other than letters, digits, hyphens and dots")
    return name


def _read_port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise Refused(InvalidImageUrl, "has a colon behind its host, but no port number from 1 to 65535 behind that")
    return int(text)
