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


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("203.0.113.8:1234", "203.0.113.8"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[::ffff:203.0.113.8]:1", "203.0.113.8"),
        ("203.0.113.8:_hidden", "203.0.113.8"),
        ("203.0.113.8:", "10.0.0.1"),
        ("203.0.113.8:x", "10.0.0.1"),
        ("203.0.113.8:1:2", "10.0.0.1"),
        ("[203.0.113.8]:1", "10.0.0.1"),
        ("[2001:db8::1", "10.0.0.1"),
        ("2001:db8::1]", "10.0.0.1"),
        ("[2001:db8::1]x", "10.0.0.1"),
        ("[]:1", "10.0.0.1"),
        ("unknown", "10.0.0.1"),
    ],
)
def test_a_hop_may_have_a_port_and_brackets(hop: str, address: str) -> None:
    assert str(client_address(a_request("10.0.0.1", hop), PROXIES)) == address
    assert str(client_address(a_request("10.0.0.1", f"198.51.100.1, {hop}, 10.9.9.9:80"), PROXIES)) in {
        address,
        "10.9.9.9",
    }


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ("For=203.0.113.7;proto=https;by=10.0.0.1", "203.0.113.7"),
        ("proto=https; for=203.0.113.7 ; by=10.0.0.1", "203.0.113.7"),
        ('for="203.0.113.7:1234"', "203.0.113.7"),
        ('for="[2001:db8::7]:1234"', "2001:db8::7"),
        ('for="[2001:db8::7]:_a.b-c"', "2001:db8::7"),
        ('for="203.0.\\113.7"', "203.0.113.7"),
        ("for=198.51.100.1, for=203.0.113.7", "203.0.113.7"),
        ("for=198.51.100.1,for=203.0.113.7,for=10.2.2.2", "203.0.113.7"),
        ('for=198.51.100.1;host="a,b;for=198.51.100.2", for=203.0.113.7', "203.0.113.7"),
        ("for=203.0.113.7,,", "203.0.113.7"),
        ("for=198.51.100.1, for=unknown", "10.0.0.1"),
        ("for=198.51.100.1, for=_secret", "10.0.0.1"),
        ("for=198.51.100.1, by=10.0.0.1", "10.0.0.1"),
        ("for=198.51.100.1;for=203.0.113.7", "10.0.0.1"),
        ('for=198.51.100.1;x=", for=203.0.113.7', "10.0.0.1"),
        ('for=198.51.100.1;x=", for="203.0.113.7"', "10.0.0.1"),
        ("for=[2001:db8::7]", "10.0.0.1"),
        ("198.51.100.1", "10.0.0.1"),
        ("for", "10.0.0.1"),
        ("", "10.0.0.1"),
        (f"{'for=198.51.100.1,' * 1000} for=203.0.113.7", "10.0.0.1"),
    ],
)
def test_forwarded_is_read_from_the_right_too(forwarded: str, address: str) -> None:
    assert str(client_address(a_request("10.0.0.1", forwarded=forwarded), PROXIES)) == address


def test_a_line_of_the_clients_own_does_not_hide_that_of_the_proxy() -> None:
    request = a_request("10.0.0.1", forwarded='for="')
    request["headers"].append((b"forwarded", b"for=203.0.113.7"))

    assert str(client_address(request, PROXIES)) == "203.0.113.7"


@pytest.mark.parametrize(
    ("forwarded_for", "forwarded", "address"),
    [
        ("203.0.113.7", "for=203.0.113.7", "203.0.113.7"),
        ("203.0.113.7", "for=198.51.100.1", "10.0.0.1"),
        ("198.51.100.1", "for=203.0.113.7", "10.0.0.1"),
        ("203.0.113.7", "nonsense", "10.0.0.1"),
        ("203.0.113.7", "", "10.0.0.1"),
    ],
)
def test_the_header_that_the_proxy_does_not_write_changes_nothing(
    forwarded_for: str, forwarded: str, address: str
) -> None:
    request = a_request("10.0.0.1", forwarded_for, forwarded=forwarded)

    assert str(client_address(request, PROXIES)) == address


@pytest.mark.parametrize("form", ["2002:a00:1::1", "64:ff9b::10.0.0.1", "::10.0.0.1"])
def test_a_form_of_a_trusted_proxys_address_is_not_trusted(form: str) -> None:
    assert str(client_address(a_request(form, "198.51.100.1"), PROXIES)) != "198.51.100.1"


@pytest.mark.parametrize("peer", [None, "testclient", "/run/gateway.sock"])
def test_without_a_peer_address_no_header_supplies_one(peer: str | None) -> None:
    assert client_address(a_request(peer, "203.0.113.7"), PROXIES) is None


def test_a_header_of_several_lines_is_one_list() -> None:
    request = a_request("203.0.113.7", "a", "b", x_zero_retention="true")

    assert headers_of(request) == {"x-forwarded-for": "a, b", "x-zero-retention": "true"}
