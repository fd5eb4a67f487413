"""The networks by which an address is counted, and their pseudonyms in the store."""

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from obscura.auth.limits import Address, NetworkQuota, network_quotas, parse_address, pseudonym


def parsed(text: str) -> Address:
    address = parse_address(text)
    assert address is not None
    return address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_every_spelling_of_an_address_is_parsed(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text", ["", "localhost", "203.0.113.7:80", "203.0.113", "::ffff:203.0.113.7.1", "unix", "0x7f.1"]
)
def test_anything_but_an_address_is_none(text: str) -> None:
    assert parse_address(text) is None


def test_an_ipv4_address_is_counted_by_itself_alone() -> None:
    assert network_quotas(ip_address("203.0.113.7")) == [NetworkQuota("203.0.113.7/32", 1)]


def test_an_ipv6_address_is_counted_by_its_64_and_by_its_56_and_48() -> None:
    assert network_quotas(ip_address("2001:db8:1:2ff::7")) == [
        NetworkQuota("2001:db8:1:2ff::/64", 1),
        NetworkQuota("2001:db8:1:200::/56", 8),
        NetworkQuota("2001:db8:1::/48", 32),
    ]


@pytest.mark.parametrize(
    "form",
    [
        "::203.0.113.7",
        "::ffff:203.0.113.7",
        "::ffff:0:203.0.113.7",
        "64:ff9b::203.0.113.7",
        "64:ff9b:1::203.0.113.7",
        "64:ff9b:1:abcd:ef::203.0.113.7",
        "64:ff9b:1:abcd:cb:71:700:0",
        "64:ff9b:1:abcb:0:7107::",
        "64:ff9b:1:cb00:71:700::",
        "2002:cb00:7107::1",
        "2002:cb00:7107:ffff:a:b:c:d",
        "2001:0:4136:e378:8000:63bf:34ff:8ef8",
        "2001::34ff:8ef8",
    ],
)
def test_every_form_of_an_ipv4_address_is_counted_as_that_address(form: str) -> None:
    assert network_quotas(parsed(form)) == [NetworkQuota("203.0.113.7/32", 1)]


@pytest.mark.parametrize("form", ["::", "::1", "64:ff9b:2::203.0.113.7", "2003:cb00:7107::1", "2001:db8::203.0.113.7"])
def test_what_stands_for_no_ipv4_address_is_counted_by_its_networks(form: str) -> None:
    assert len(network_quotas(parsed(form))) == 3


@given(integers(0, 2**128 - 1).map(IPv6Address))
def test_every_ipv6_address_has_its_networks(address: IPv6Address) -> None:
    assert len(network_quotas(address)) in {1, 3}


def test_a_pseudonym_depends_on_the_network_and_on_the_secret() -> None:
    name = pseudonym("203.0.113.7/32", b"secret")

    # HMAC-SHA256, as `printf 203.0.113.7/32 | openssl dgst -sha256 -hmac secret` gives it.
    assert name == "ed4dbd4902174d3aedcde11da044a5c35877dd251a6dfb41bd654121ff3b633c"
    assert pseudonym("203.0.113.7/32", b"another") != name
    assert pseudonym("203.0.113.8/32", b"secret") != name
