"""A request's headers, and the address of its client as far as it can be trusted."""

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network

from starlette.types import Scope

from obscura.auth.limits import Address, parse_address

type Network = IPv4Network | IPv6Network

_FORWARDED_FOR = b"x-forwarded-for"
_FORWARDED = b"forwarded"
_NODE = re.compile(r"(?:\[(?P<ipv6>[^\]]*)\]|(?P<ipv4>[0-9.]+))(?::(?P<port>[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
"""An address with a port, or one in brackets (RFC 7239 §6); a port may be a made-up name."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_PAIR = rf"{_TOKEN}=(?:{_TOKEN}|{_QUOTED})"
_ELEMENT = re.compile(rf"[ \t]*+((?:{_PAIR}(?:[ \t]*+;[ \t]*+(?:{_PAIR})?+)*+)?+)[ \t]*+(?:,|$)")
"""One element (RFC 7239 §4), possessive throughout: no text makes it go back."""

MAX_FORWARDED_CHARS = 8192
_NAME_AND_NODE = re.compile(rf"({_TOKEN})=({_TOKEN}|{_QUOTED})")


def headers_of(scope: Scope) -> dict[str, str]:
    """Return a request's headers by name in lower case; lines of the same name are joined (RFC 9110 §5.2)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def client_address(scope: Scope, trusted_proxies: Sequence[Network]) -> Address | None:
    """Return the client's address: the peer of the connection, on Lambda the event's ``sourceIp``.

    Only if that is a trusted proxy, ``X-Forwarded-For`` or ``Forwarded`` (RFC 7239) counts. Either is read from the
    right, where each proxy appends the address of its peer: the first that is not a trusted proxy is the client's.
    What is left of it may be forged. So may be the whole header that the proxy does not write: if both are there and
    differ, it is the proxy's address that counts. ADR 23, ADR 71
    """
    peer = parse_address(scope["client"][0]) if scope.get("client") else None
    if peer is None or not _is_in(peer, trusted_proxies):
        return peer
    x_forwarded_for, forwarded = _lines(scope, _FORWARDED_FOR), _lines(scope, _FORWARDED)
    if not forwarded:
        return _first_untrusted(peer, _hops(x_forwarded_for), trusted_proxies)
    address = _first_untrusted(peer, _forwarded_hops(forwarded), trusted_proxies)
    if x_forwarded_for and address != _first_untrusted(peer, _hops(x_forwarded_for), trusted_proxies):
        return peer
    return address


def _first_untrusted(peer: Address, hops: Iterator[str | None], trusted_proxies: Sequence[Network]) -> Address:
    """Follow the hops, the nearest first, to the first that is no trusted proxy, or to the last that can be read."""
    for hop in hops:
        address = None if hop is None else _parse_node(hop)
        if address is None:
            break
        peer = address
        if not _is_in(peer, trusted_proxies):
            break
    return peer


def _parse_node(node: str) -> Address | None:
    """Parse the address of a hop: with or without a port, IPv6 with or without brackets."""
    match = _NODE.fullmatch(node)
    if match is None:
        return parse_address(node)
    host, is_bracketed = match["ipv6"] or match["ipv4"] or "", match["ipv6"] is not None
    return parse_address(host) if is_bracketed == (":" in host) else None


def _hops(lines: Sequence[str]) -> Iterator[str]:
    """Yield the hops of ``X-Forwarded-For``, the nearest first; several lines are one list (RFC 9110 §5.3)."""
    return (hop.strip() for hop in reversed(",".join(lines).split(",")))


def _forwarded_hops(lines: Sequence[str]) -> Iterator[str | None]:
    """Yield the ``for`` of each element of ``Forwarded``, the nearest first; None for what cannot be read.

    Each line is read by itself, whole or not at all: no quotation mark of a client's reaches what a proxy added in a
    line of its own, and one in the proxy's own line makes that unreadable, not forged.
    """
    for line in reversed(lines):
        position, nodes = 0, list[str | None]()
        while position < len(line):
            element = _ELEMENT.match(line, position) if len(line) <= MAX_FORWARDED_CHARS else None
            if element is None:
                yield None
                return
            position = element.end()
            if element[1]:
                nodes.append(_for_of(element[1]))
        yield from reversed(nodes)


def _for_of(element: str) -> str | None:
    nodes = [node for name, node in _NAME_AND_NODE.findall(element) if name.lower() == "for"]
    return re.sub(r"\\(.)", r"\1", nodes[0].strip('"')) if len(nodes) == 1 else None


def _lines(scope: Scope, header: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == header]


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
