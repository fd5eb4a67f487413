"""A request's headers, and the address of its client as far as it can be trusted."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network

from starlette.types import Scope

from obscura.auth.limits import Address, parse_address

type Network = IPv4Network | IPv6Network

_FORWARDED_FOR = b"x-forwarded-for"


def headers_of(scope: Scope) -> dict[str, str]:
    """Return a request's headers by name in lower case; lines of the same name are joined (RFC 9110 §5.2)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def client_address(scope: Scope, trusted_proxies: Sequence[Network]) -> Address | None:
    """Return the client's address: the peer of the connection, on Lambda the event's ``sourceIp``.

    Only if that is a trusted proxy, ``X-Forwarded-For`` counts. It is read from the right, where each proxy appends the
    address of its peer: the first that is not a trusted proxy is the client's. What is left of it may be forged. ADR 23
    """
    peer = parse_address(scope["client"][0]) if scope.get("client") else None
    if peer is None or not _is_in(peer, trusted_proxies):
        return peer
    for hop in _forwarded_for(scope):
        forwarded = parse_address(hop)
        if forwarded is None:
            break
        peer = forwarded
        if not _is_in(peer, trusted_proxies):
            break
    return peer


def _forwarded_for(scope: Scope) -> Iterator[str]:
    """Yield the forwarded addresses, the nearest first; several header lines are one list (RFC 9110 §5.3)."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED_FOR]
    return reversed([hop.strip() for hop in ",".join(lines).split(",")])


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
