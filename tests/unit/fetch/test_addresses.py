"""Which addresses belong to the public internet."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.fetch.addresses import is_address, is_globally_routable

SPECIAL = {
    "unspecified": "0.0.0.0",
    "this network": "0.1.2.3",
    "private 10": "10.0.0.1",
    "private 10, last": "10.255.255.255",
    "private 172.16": "172.16.0.1",
    "private 172.31": "172.31.255.254",
    "private 192.168": "192.168.1.1",
    "carrier-grade NAT": "100.64.0.1",
    "carrier-grade NAT, last": "100.127.255.254",
    "Alibaba metadata": "100.100.100.200",
    "loopback": "127.0.0.1",
    "loopback, another": "127.8.8.8",
    "link-local": "169.254.1.1",
    "cloud metadata": "169.254.169.254",
    "ECS task credentials": "169.254.170.2",
    "EKS pod credentials": "169.254.170.23",
    "Azure wire server": "168.63.129.16",
    "IETF protocol assignments": "192.0.0.1",
    "Oracle metadata": "192.0.0.192",
    "dummy address": "192.0.0.8",
    "PCP anycast": "192.0.0.9",
    "TURN anycast": "192.0.0.10",
    "NAT64 discovery": "192.0.0.170",
    "documentation 1": "192.0.2.1",
    "documentation 2": "198.51.100.1",
    "documentation 3": "203.0.113.1",
    "AS112": "192.31.196.1",
    "AS112 direct": "192.175.48.1",
    "AMT": "192.52.193.1",
    "6to4 relay": "192.88.99.1",
    "benchmarking": "198.18.0.1",
    "benchmarking, last": "198.19.255.254",
    "multicast, local": "224.0.0.1",
    "multicast, scoped": "239.255.255.250",
    "multicast, documentation": "233.252.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "IPv6 unspecified": "::",
    "IPv6 loopback": "::1",
    "IPv4-compatible loopback": "::127.0.0.1",
    "IPv4-compatible private": "::10.0.0.1",
    "IPv4-compatible public": "::8.8.8.8",
    "IPv4-mapped loopback": "::ffff:127.0.0.1",
    "IPv4-mapped metadata": "::ffff:169.254.169.254",
    "IPv4-mapped public": "::ffff:8.8.8.8",
    "IPv4-translated loopback": "::ffff:0:127.0.0.1",
    "IPv4-translated public": "::ffff:0:8.8.8.8",
    "NAT64, private inside": "64:ff9b::10.0.0.1",
    "NAT64, public inside": "64:ff9b::8.8.8.8",
    "NAT64, local": "64:ff9b:1::1",
    "NAT64, local, metadata inside": "64:ff9b:1::169.254.169.254",
    "discard": "100::1",
    "dummy prefix": "100:0:0:1::1",
    "segment routing": "5f00::1",
    "Teredo": "2001::1",
    "Teredo, loopback inside": "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "IPv6 PCP anycast": "2001:1::1",
    "IPv6 TURN anycast": "2001:1::2",
    "IPv6 DNS-SD anycast": "2001:1::3",
    "IPv6 benchmarking": "2001:2::1",
    "IPv6 AMT": "2001:3::1",
    "IPv6 AS112": "2001:4:112::1",
    "IPv6 AS112 direct": "2620:4f:8000::1",
    "ORCHID": "2001:10::1",
    "ORCHIDv2": "2001:20::1",
    "drone remote ids": "2001:30::1",
    "IPv6 protocol assignments, rest": "2001:1ff:ffff::1",
    "IPv6 documentation": "2001:db8::1",
    "IPv6 documentation, new": "3fff::1",
    "IPv6 documentation, new, last": "3fff:fff:ffff::1",
    "6bone": "3ffe::1",
    "6to4, private inside": "2002:a00:1::1",
    "6to4, loopback inside": "2002:7f00:1::1",
    "6to4, public inside": "2002:808:808::1",
    "unique local": "fc00::1",
    "unique local, assigned": "fd12:3456:789a::1",
    "EC2 metadata": "fd00:ec2::254",
    "EC2 time": "fd00:ec2::123",
    "Google metadata": "fd20:ce::254",
    "IPv6 link-local": "fe80::1",
    "IPv6 link-local, scoped": "fe80::1%eth0",
    "IPv6 public, scoped": "2606:4700:4700::1111%eth0",
    "site-local": "fec0::1",
    "site-local, last": "feff::1",
    "IPv6 multicast": "ff02::1",
    "IPv6 multicast, global": "ff0e::1",
    "ISATAP, private inside": "2a00:1450:4001::5efe:10.0.0.1",
    "ISATAP, loopback inside": "2a00:1450:4001:1:0:5efe:7f00:1",
    "ISATAP, universal bit": "2a00:1450:4001:1:200:5efe:a00:1",
    "ISATAP, public inside": "2a00:1450:4001:1:200:5efe:808:808",
    "unassigned 4000::/3": "4000::1",
    "unassigned 0200::/7": "200::1",
    "unassigned e000::/4": "e000::1",
    "no address": "example.com",
    "empty": "",
    "octal": "0177.0.0.1",
    "an integer": "2130706433",
    "bracketed": "[2606:4700:4700::1111]",
}

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.215.14",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "168.63.129.15",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.1",
    "192.88.98.1",
    "192.169.0.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.254",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7::1",
    "2003::1",
    "2600:1f18::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2a00:1450:4001:81b:0:5efd:0:1",
    "2a00:1450:4001:81b:0:5eff:0:1",
    "2a00:1450:4001:81b:7bff:5efe:a00:1",
    "2a00:1450:4001:81b:ffff:ffff:ffff:ffff",
]


@pytest.mark.parametrize("address", SPECIAL.values(), ids=SPECIAL.keys())
def test_an_address_with_a_special_purpose_is_rejected(address: str) -> None:
    assert not is_globally_routable(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_is_accepted(address: str) -> None:
    assert is_globally_routable(address)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "fe80::1%eth0", "8.8.8.8"])
def test_an_address_is_not_taken_for_a_name(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize("text", ["example.com", "", "127.1", "[::1]", "1.2.3.4.5", "1.2.3.256"])
def test_a_name_is_no_address(text: str) -> None:
    assert not is_address(text)


@given(st.ip_addresses())
def test_no_address_is_accepted_that_is_special_to_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_globally_routable(str(address)):
        assert address.is_global
        assert not (address.is_multicast or address.is_reserved or address.is_link_local or address.is_unspecified)


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "::", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::"]))
def test_no_ipv4_address_is_accepted_inside_an_ipv6_address(inside: ipaddress.IPv4Address, prefix: str) -> None:
    outside = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(inside))

    assert not is_globally_routable(str(outside))
