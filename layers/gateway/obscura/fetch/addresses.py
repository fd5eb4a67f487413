"""Whether an IP address belongs to the public internet; stricter than ``ipaddress.is_global``.

Sources: IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190) and IPv6 Address Space registry.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NOT_PUBLIC_IPV4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598; also Alibaba's metadata service (100.100.100.200)
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # Azure's wire server: a public address that is private on every Azure machine
        "169.254.0.0/16",  # link-local, RFC 3927; metadata and credentials in most clouds
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890; also Oracle's metadata service (192.0.0.192)
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535: anycast, which the operator's own network may answer
        "192.52.193.0/24",  # AMT relays, RFC 7450: anycast
        "192.88.99.0/24",  # 6to4 relays, RFC 7526: anycast, deprecated
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534: anycast
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, RFC 1112; limited broadcast, RFC 919
    )
)

# All that IANA has ever allocated as global unicast (RFC 4291 §2.4). Outside of it, and so rejected without an entry
# below, are ::1, ::/96, ::ffff:0:0/96, ::ffff:0:0:0/96, NAT64 (RFC 6052, RFC 8215), 100::/64 and 100:0:0:1::/64,
# 5f00::/16 (RFC 9602), fc00::/7 with fd00:ec2::254, fe80::/10, fec0::/10 and ff00::/8.
_GLOBAL_UNICAST_IPV6 = IPv6Network("2000::/3")

# Blocks that embed IPv4 addresses are rejected whole: how a relay maps the embedded address cannot be known here.
_NOT_PUBLIC_IPV6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments, RFC 2928: Teredo (RFC 4380), ORCHID (RFC 4843, RFC 7343) and more
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056
        "2620:4f:8000::/48",  # AS112, RFC 7534: anycast, which the operator's own network may answer
        "3ffe::/16",  # 6bone, returned, RFC 3701
        "3fff::/20",  # documentation, RFC 9637
    )
)


def is_address(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address, not a name."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_globally_routable(text: str) -> bool:
    """Whether ``text`` is a plain IPv4 or IPv6 address of the public internet.

    False also for text that is no address, and for scoped addresses (``fe80::1%eth0``, RFC 4007).
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    # A newer standard library may know more: both lists must agree that an address is public.
    return address.is_global and (_is_public_ipv4(address) if address.version == 4 else _is_public_ipv6(address))


def _is_public_ipv4(address: IPv4Address) -> bool:
    return not any(address in block for block in _NOT_PUBLIC_IPV4)


def _is_public_ipv6(address: IPv6Address) -> bool:
    return (
        address.scope_id is None
        and address in _GLOBAL_UNICAST_IPV6
        and not any(address in block for block in _NOT_PUBLIC_IPV6)
        and not _is_isatap(address)
    )


def _is_isatap(address: IPv6Address) -> bool:
    # RFC 5214 §6.1: an interface identifier of 00-00-5E-FE and an IPv4 address, under any prefix at all; the two low
    # bits of its first byte (universal/local, individual/group) may be set.
    return (int(address) >> 32) & 0xFCFF_FFFF == 0x0000_5EFE
