"""Networks: what an address belongs to, as far as the free tier is concerned, and the name that it is stored under."""

import hashlib
import hmac
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

type Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Share:
    """A network and how many times the free tier's requests it may make in all."""

    network: str
    times: int


_IPV6_SHARES = ((64, 1), (56, 8), (48, 32))
"""One household or host has a /64; its site may have a /56 or a /48 of them (RFC 6177 §2), hence the ceilings."""


def parse_address(text: str) -> Address | None:
    """Read an address; an IPv4-mapped one (RFC 4291 §2.5.5.2) is IPv4. None for anything else."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def shares_of(address: Address) -> list[Share]:
    """Give the networks that an address counts for, its own first."""
    if isinstance(address, IPv4Address):
        return [Share(f"{address}/32", 1)]
    return [
        Share(str(IPv6Network((int(address), length_bits), strict=False)), times) for length_bits, times in _IPV6_SHARES
    ]


def stored_name(network: str, secret: bytes) -> str:
    """Give the HMAC-SHA256 of a network, in hexadecimal; without ``secret`` nobody can tell whose it is."""
    return hmac.digest(secret, network.encode(), hashlib.sha256).hex()
