"""What the door needs to know of an ASGI request: its headers, and the address that the platform vouches for."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network

from starlette.types import Scope

from obscura.auth.limits import Address, parse_address

type Network = IPv4Network | IPv6Network

_FORWARDED_FOR = b"x-forwarded-for"


def headers_of(scope: Scope) -> dict[str, str]:
    """Return a request's headers by name in lower case; several lines of one are joined (RFC 9110 §5.2)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def client_address(scope: Scope, trusted_proxies: Sequence[Network]) -> Address | None:
    """Return the caller's address: the other side of the connection, on Lambda the event's ``sourceIp``.

    Only where that is a trusted proxy counts ``X-Forwarded-For``, read from the right, where each proxy adds whom it
    saw: the first that is no trusted proxy is the caller. What stands further left anybody may have written.
    """
    peer = parse_address(scope["client"][0]) if scope.get("client") else None
    if peer is None:
        return None
    nearest = peer
    hops = _hops(scope)
    while _is_in(nearest, trusted_proxies):
        further = parse_address(next(hops, ""))
        if further is None:
            break
        nearest = further
    return nearest


def _hops(scope: Scope) -> Iterator[str]:
    """Yield whom the proxies saw, nearest first; several header lines are one list (RFC 9110 §5.3)."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED_FOR]
    return reversed([hop.strip() for hop in ",".join(lines).split(",")])


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
