"""The network of an anonymous client: no header changes it, and the store does not reveal its address."""

from pathlib import Path

import httpx
import pytest

from tests.support.anonymous import FREE_TIER, anonymous_client
from tests.support.gateway import chat_request, running_gateway
from tests.support.serving_process import environment, run_obscura, serving

SPOOFED = "198.51.100.1"
HEADERS = {
    "x_forwarded_for": SPOOFED,
    "forwarded": f"for={SPOOFED}",
    "true_client_ip": SPOOFED,
    "x_real_ip": SPOOFED,
    "cf_connecting_ip": SPOOFED,
    "x_client_ip": SPOOFED,
    "x_cluster_client_ip": SPOOFED,
    "x_original_forwarded_for": SPOOFED,
    "client_ip": SPOOFED,
    "via": f"1.1 {SPOOFED}",
    "host": SPOOFED,
}


@pytest.mark.parametrize("name", HEADERS)
async def test_no_header_gives_a_second_free_request(name: str) -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as anonymous:
        responses = [
            await anonymous.chat(chat_request("hi"), **headers)
            for headers in ({}, {name: HEADERS[name]}, {name: "::1"})
        ]

        assert [response.status_code for response in responses] == [200, 429, 429]


async def test_after_a_trusted_proxy_the_address_that_it_added_counts() -> None:
    async with running_gateway(trusted_proxies="127.0.0.0/8") as gateway, anonymous_client(gateway) as anonymous:
        forwarded = ["203.0.113.1", "203.0.113.2", f"{SPOOFED}, 203.0.113.1", f"{SPOOFED}, 203.0.113.2, 127.0.0.9"]

        responses = [await anonymous.chat(chat_request("hi"), x_forwarded_for=address) for address in forwarded]

        assert [response.status_code for response in responses] == [200, 200, 429, 429]


async def test_forms_and_ports_of_one_address_share_its_quota() -> None:
    async with running_gateway(trusted_proxies="127.0.0.0/8") as gateway, anonymous_client(gateway) as anonymous:
        forwarded = [
            *(f"203.0.113.1:{port}" for port in range(1024, 1028)),
            *("64:ff9b::203.0.113.1", "[2002:cb00:7101::9]:443", "2001::34ff:8efe", "::203.0.113.1"),
        ]

        responses = [await anonymous.chat(chat_request("hi"), x_forwarded_for=hop) for hop in forwarded]
        responses += [await anonymous.chat(chat_request("hi"), forwarded='for="203.0.113.1:99"')]

        assert [response.status_code for response in responses] == [200] + [429] * len(forwarded)


async def test_a_site_with_many_ipv6_networks_has_limits_of_its_own() -> None:
    async with running_gateway(trusted_proxies="127.0.0.0/8") as gateway, anonymous_client(gateway) as anonymous:
        networks = [f"2001:db8:1:{number:x}::1" for number in range(256)]

        responses = [await anonymous.chat(chat_request("hi"), x_forwarded_for=address) for address in networks[:12]]
        further = [
            await anonymous.chat(chat_request("hi"), x_forwarded_for=f"2001:db8:1:{n:02x}00::1") for n in range(1, 30)
        ]

        assert [response.status_code for response in responses] == [200] * 8 + [429] * 4
        assert [response.status_code for response in further].count(200) == 32 - 8


async def test_addresses_of_one_64_share_its_quota_and_a_mapped_one_is_ipv4() -> None:
    async with running_gateway(trusted_proxies="127.0.0.0/8") as gateway, anonymous_client(gateway) as anonymous:
        forwarded = ["2001:db8::1", "2001:db8::ffff:1", "203.0.113.1", "::ffff:203.0.113.1"]

        responses = [await anonymous.chat(chat_request("hi"), x_forwarded_for=address) for address in forwarded]

        assert [response.status_code for response in responses] == [200, 429, 200, 429]


def test_neither_the_files_nor_the_log_reveal_the_address(tmp_path: Path) -> None:
    address = "203.0.113.77"
    env = environment(tmp_path, TRUSTED_PROXIES="127.0.0.0/8")
    with serving(env) as gateway:
        headers = FREE_TIER | {"x-forwarded-for": address}
        responses = [
            httpx.post(f"{gateway.v1}/chat/completions", json=chat_request("hi"), headers=headers) for _ in range(2)
        ]
        files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    shown = run_obscura("quota", "show", address, env=env).stdout

    assert [response.status_code for response in responses] == [200, 429]
    assert "203.0.113.77/32" in shown
    assert set(files) >= {"obscura.sqlite3", "address-secret"}
    assert not any(address.encode() in content for content in files.values())
    assert address not in "".join(gateway.lines)
