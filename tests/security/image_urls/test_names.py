"""A name is resolved once, each of its addresses is checked, and only a checked one is connected to."""

import pytest

from obscura.errors import ImageFetchFailed, UnsafeImageUrl
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from tests.security.image_urls.certificates import client_tls, server_tls
from tests.security.image_urls.hosts import (
    IMAGE,
    PUBLIC_ADDRESS,
    FakeResolver,
    LoopbackNetwork,
    a_redirect,
    a_response,
    image_host,
    responding,
)

URL = "https://images.example/a.png?x=1"


async def test_the_checked_address_is_connected_to_under_the_urls_name() -> None:
    async with image_host(responding(a_response()), server_tls("images.example")) as host:
        names, network = FakeResolver([PUBLIC_ADDRESS]), LoopbackNetwork(host.port)
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        image = await images.fetch(URL)

        await images.aclose()
    assert image == IMAGE
    assert names.lookups == [("images.example", 443)]
    assert network.connected_to == [(PUBLIC_ADDRESS, 443)]
    assert host.server_names == ["images.example"]
    assert host.requests[0].startswith(b"GET /a.png?x=1 HTTP/1.1\r\nHost: images.example\r\n")


async def test_a_name_that_is_rebound_after_the_check_is_not_resolved_again() -> None:
    async with image_host(responding(a_response()), server_tls("images.example")) as host:
        names, network = FakeResolver([PUBLIC_ADDRESS], ["127.0.0.1"]), LoopbackNetwork(host.port)
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        await images.fetch(URL)
        with pytest.raises(UnsafeImageUrl):
            await images.fetch(URL)

        await images.aclose()
    assert len(names.lookups) == 2
    assert network.connected_to == [(PUBLIC_ADDRESS, 443)]


async def test_a_name_that_is_rebound_between_two_hops_is_checked_again() -> None:
    async with image_host(responding(a_redirect("/b.png"), a_response()), server_tls("images.example")) as host:
        names, network = FakeResolver([PUBLIC_ADDRESS], ["169.254.169.254"]), LoopbackNetwork(host.port)
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        with pytest.raises(UnsafeImageUrl, match=r"host images\.example, after 1 redirect"):
            await images.fetch(URL)

        await images.aclose()
    assert network.connected_to == [(PUBLIC_ADDRESS, 443)]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        [PUBLIC_ADDRESS, "127.0.0.1"],
        ["10.0.0.1", PUBLIC_ADDRESS],
        [PUBLIC_ADDRESS, "::1"],
        [PUBLIC_ADDRESS, "fe80::1%eth0"],
        [PUBLIC_ADDRESS, "64:ff9b::a00:1"],
        ["::ffff:10.0.0.1"],
        [PUBLIC_ADDRESS, "another.name.example"],
    ],
)
async def test_one_bad_address_among_a_names_addresses_rejects_them_all(addresses: list[str]) -> None:
    network = LoopbackNetwork()
    images = GuardedFetcher(FetchLimits(), resolve=FakeResolver(addresses), ssl_context=client_tls(), network=network)

    with pytest.raises(UnsafeImageUrl, match=r"host images\.example") as rejected:
        await images.fetch(URL)

    await images.aclose()
    assert network.connected_to == []
    assert not any(address in rejected.value.message for address in addresses)


async def test_the_next_checked_address_is_tried_if_one_is_unreachable() -> None:
    async with image_host(responding(a_response()), server_tls("images.example")) as host:
        addresses = ["2606:4700:4700::1111", "1.1.1.1", PUBLIC_ADDRESS]
        names, network = FakeResolver(addresses), LoopbackNetwork(host.port, unreachable=addresses[:2])
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        assert await images.fetch(URL) == IMAGE

        await images.aclose()
    assert network.connected_to == [(address, 443) for address in addresses]


async def test_a_public_address_in_place_of_a_name_is_not_resolved() -> None:
    async with image_host(responding(a_response()), server_tls(PUBLIC_ADDRESS)) as host:
        names, network = FakeResolver(["127.0.0.1"]), LoopbackNetwork(host.port)
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        assert await images.fetch(f"https://{PUBLIC_ADDRESS}/a.png") == IMAGE

        await images.aclose()
    assert names.lookups == []
    assert network.connected_to == [(PUBLIC_ADDRESS, 443)]


async def test_a_name_without_an_address_is_a_failed_fetch() -> None:
    images = GuardedFetcher(FetchLimits(), resolve=FakeResolver([]))

    with pytest.raises(ImageFetchFailed, match=r"images\.example.*without an address"):
        await images.fetch(URL)

    await images.aclose()


async def test_an_unknown_name_is_a_failed_fetch_with_the_systems_resolver_too() -> None:
    images = GuardedFetcher(FetchLimits())

    with pytest.raises(ImageFetchFailed, match=r"nowhere\.invalid.*could not be resolved"):
        await images.fetch("https://nowhere.invalid/a.png")

    await images.aclose()


@pytest.mark.parametrize(
    "failure", [OSError("[Errno -2] 10.9.8.7"), UnicodeError("10.9.8.7"), RuntimeError("10.9.8.7")]
)
async def test_any_exception_of_a_resolver_is_a_failed_fetch_without_its_message(failure: Exception) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        raise failure

    images = GuardedFetcher(FetchLimits(), resolve=resolve)

    with pytest.raises(ImageFetchFailed) as failed:
        await images.fetch(URL)

    await images.aclose()
    assert "10.9.8.7" not in failed.value.message
