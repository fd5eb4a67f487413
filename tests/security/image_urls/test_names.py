"""A name is looked up once, every answer is checked, and what was checked is what is connected to."""

import pytest

from obscura.errors import ImageFetchFailed, UnsafeImageUrl
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from tests.security.image_urls.certificates import client_tls, server_tls
from tests.security.image_urls.hosts import (
    IMAGE,
    PUBLIC_ADDRESS,
    Detour,
    Names,
    a_host,
    a_redirect,
    an_answer,
    saying,
)

URL = "https://images.example/a.png?x=1"


async def test_the_checked_address_is_dialled_and_the_name_is_what_tls_and_http_speak_of() -> None:
    async with a_host(saying(an_answer()), server_tls("images.example")) as host:
        names, network = Names([PUBLIC_ADDRESS]), Detour(host.port)
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        image = await images.fetch(URL)

        await images.aclose()
    assert image == IMAGE
    assert names.asked == [("images.example", 443)]
    assert network.dialled == [(PUBLIC_ADDRESS, 443)]
    assert host.server_names == ["images.example"]
    assert host.requests[0].startswith(b"GET /a.png?x=1 HTTP/1.1\r\nHost: images.example\r\n")


async def test_a_name_that_is_rebound_after_the_check_is_not_asked_for_again() -> None:
    async with a_host(saying(an_answer()), server_tls("images.example")) as host:
        names, network = Names([PUBLIC_ADDRESS], ["127.0.0.1"]), Detour(host.port)
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        await images.fetch(URL)
        with pytest.raises(UnsafeImageUrl):
            await images.fetch(URL)

        await images.aclose()
    assert len(names.asked) == 2
    assert network.dialled == [(PUBLIC_ADDRESS, 443)]


async def test_a_name_that_is_rebound_between_two_hops_is_checked_again() -> None:
    async with a_host(saying(a_redirect("/b.png"), an_answer()), server_tls("images.example")) as host:
        names, network = Names([PUBLIC_ADDRESS], ["169.254.169.254"]), Detour(host.port)
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        with pytest.raises(UnsafeImageUrl, match=r"host images\.example, after 1 redirect"):
            await images.fetch(URL)

        await images.aclose()
    assert network.dialled == [(PUBLIC_ADDRESS, 443)]


@pytest.mark.parametrize(
    "answer",
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
async def test_one_bad_address_among_the_answers_refuses_them_all(answer: list[str]) -> None:
    network = Detour()
    images = GuardedFetcher(FetchLimits(), resolve=Names(answer), ssl_context=client_tls(), network=network)

    with pytest.raises(UnsafeImageUrl, match=r"host images\.example") as refused:
        await images.fetch(URL)

    await images.aclose()
    assert network.dialled == []
    assert not any(address in refused.value.message for address in answer)


async def test_the_next_checked_address_is_tried_when_one_does_not_answer() -> None:
    async with a_host(saying(an_answer()), server_tls("images.example")) as host:
        addresses = ["2606:4700:4700::1111", "1.1.1.1", PUBLIC_ADDRESS]
        names, network = Names(addresses), Detour(host.port, unreachable=addresses[:2])
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        assert await images.fetch(URL) == IMAGE

        await images.aclose()
    assert network.dialled == [(address, 443) for address in addresses]


async def test_a_public_address_in_place_of_a_name_is_not_looked_up() -> None:
    async with a_host(saying(an_answer()), server_tls(PUBLIC_ADDRESS)) as host:
        names, network = Names(["127.0.0.1"]), Detour(host.port)
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        assert await images.fetch(f"https://{PUBLIC_ADDRESS}/a.png") == IMAGE

        await images.aclose()
    assert names.asked == []
    assert network.dialled == [(PUBLIC_ADDRESS, 443)]


async def test_a_name_without_an_address_is_a_failed_fetch() -> None:
    images = GuardedFetcher(FetchLimits(), resolve=Names([]))

    with pytest.raises(ImageFetchFailed, match=r"images\.example.*without an address"):
        await images.fetch(URL)

    await images.aclose()


async def test_a_name_that_does_not_exist_is_a_failed_fetch_by_the_systems_resolver_too() -> None:
    images = GuardedFetcher(FetchLimits())

    with pytest.raises(ImageFetchFailed, match=r"nowhere\.invalid.*could not be resolved"):
        await images.fetch("https://nowhere.invalid/a.png")

    await images.aclose()


@pytest.mark.parametrize(
    "failure", [OSError("[Errno -2] 10.9.8.7"), UnicodeError("10.9.8.7"), RuntimeError("10.9.8.7")]
)
async def test_whatever_a_resolver_raises_is_a_failed_fetch_that_does_not_repeat_it(failure: Exception) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        raise failure

    images = GuardedFetcher(FetchLimits(), resolve=resolve)

    with pytest.raises(ImageFetchFailed) as failed:
        await images.fetch(URL)

    await images.aclose()
    assert "10.9.8.7" not in failed.value.message
