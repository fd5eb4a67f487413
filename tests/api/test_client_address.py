"""The client's address: the connection's peer, or a header's if a trusted proxy wrote it."""

from ipaddress import ip_network

import pytest

from obscura.api.client_address import client_address, headers_of

PROXIES = tuple(map(ip_network, ("10.0.0.0/8", "2001:db8:ffff::/48")))


def a_request(peer: str | None, *forwarded_for: str, **headers: str) -> dict:
    named = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded_for]
    named += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "client": (peer, 1234) if peer else None, "headers": named}


@pytest.mark.parametrize("peer", ["203.0.113.7", "2001:db8::7", "10.0.0.1"])
def test_without_trusted_proxies_no_header_changes_the_address(peer: str) -> None:
    spoofed = dict.fromkeys(
        ("forwarded", "true_client_ip", "x_real_ip", "cf_connecting_ip", "client_ip"), "198.51.100.1"
    )

    assert str(client_address(a_request(peer, "198.51.100.1", **spoofed), ())) == peer


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1,203.0.113.7", "10.9.9.9"], "203.0.113.7"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("2001:db8:ffff::1", ["2001:db8::7"], "2001:db8::7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [",,,"], "10.0.0.1"),
        ("10.0.0.1", ["\xff\xfe"], "10.0.0.1"),
    ],
)
def test_the_client_is_the_first_hop_from_the_right_that_is_no_proxy(
    peer: str, forwarded_for: list[str], address: str
) -> None:
    assert str(client_address(a_request(peer, *forwarded_for), PROXIES)) == address


@pytest.mark.parametrize("peer", [None, "testclient", "/run/gateway.sock"])
def test_without_a_peer_address_no_header_supplies_one(peer: str | None) -> None:
    assert client_address(a_request(peer, "203.0.113.7"), PROXIES) is None


def test_a_header_of_several_lines_is_one_list() -> None:
    request = a_request("203.0.113.7", "a", "b", x_zero_retention="true")

    assert headers_of(request) == {"x-forwarded-for": "a, b", "x-zero-retention": "true"}
