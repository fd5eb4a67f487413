"""Whose places a stranger takes: no header makes another network of him, and the store does not tell his address."""

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
async def test_no_header_gives_a_second_place(name: str) -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as stranger:
        response = [
            await stranger.chat(chat_request("hi"), **headers) for headers in ({}, {name: HEADERS[name]}, {name: "::1"})
        ]

        assert [answer.status_code for answer in response] == [200, 429, 429]


async def test_behind_a_trusted_proxy_each_caller_that_it_saw_has_a_place_and_forged_entries_none() -> None:
    async with running_gateway(trusted_proxies="127.0.0.0/8") as gateway, anonymous_client(gateway) as stranger:
        seen = ["203.0.113.1", "203.0.113.2", f"{SPOOFED}, 203.0.113.1", f"{SPOOFED}, 203.0.113.2, 127.0.0.9"]

        response = [await stranger.chat(chat_request("hi"), x_forwarded_for=forwarded_for) for forwarded_for in seen]

        assert [answer.status_code for answer in response] == [200, 200, 429, 429]


async def test_a_site_with_many_ipv6_networks_comes_to_its_ceiling() -> None:
    async with running_gateway(trusted_proxies="127.0.0.0/8") as gateway, anonymous_client(gateway) as stranger:
        networks = [f"2001:db8:1:{number:x}::1" for number in range(256)]

        response = [await stranger.chat(chat_request("hi"), x_forwarded_for=address) for address in networks[:12]]
        further = [
            await stranger.chat(chat_request("hi"), x_forwarded_for=f"2001:db8:1:{n:02x}00::1") for n in range(1, 30)
        ]

        assert [answer.status_code for answer in response] == [200] * 8 + [429] * 4
        assert [answer.status_code for answer in further].count(200) == 32 - 8


async def test_addresses_of_one_64_share_its_place_and_a_mapped_address_is_ipv4() -> None:
    async with running_gateway(trusted_proxies="127.0.0.0/8") as gateway, anonymous_client(gateway) as stranger:
        seen = ["2001:db8::1", "2001:db8::ffff:1", "203.0.113.1", "::ffff:203.0.113.1"]

        response = [await stranger.chat(chat_request("hi"), x_forwarded_for=address) for address in seen]

        assert [answer.status_code for answer in response] == [200, 429, 200, 429]


def test_neither_the_files_nor_the_log_tell_who_asked(tmp_path: Path) -> None:
    address = "203.0.113.77"
    env = environment(tmp_path, TRUSTED_PROXIES="127.0.0.0/8")
    with serving(env) as gateway:
        headers = FREE_TIER | {"x-forwarded-for": address}
        response = [
            httpx.post(f"{gateway.v1}/chat/completions", json=chat_request("hi"), headers=headers) for _ in range(2)
        ]
        files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    shown = run_obscura("quota", "show", address, env=env).stdout

    assert [answer.status_code for answer in response] == [200, 429]
    assert "203.0.113.77/32" in shown
    assert set(files) >= {"obscura.sqlite3", "address-secret"}
    assert not any(address.encode() in content for content in files.values())
    assert address not in "".join(gateway.lines)
