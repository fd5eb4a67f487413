"""An allowed origin is exempt from the rules on scheme, port and address, and from nothing else."""

import pytest

from obscura.errors import ImageTooLarge, InvalidImageUrl, UnsafeImageUrl
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from tests.security.image_urls.hosts import (
    IMAGE,
    FakeResolver,
    LoopbackNetwork,
    a_redirect,
    a_response,
    image_host,
    responding,
)


async def test_an_allowed_origin_is_fetched_over_http_on_any_port() -> None:
    async with image_host(responding(a_response())) as host:
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        assert await images.fetch(host.url) == IMAGE

        await images.aclose()
    assert f"Host: 127.0.0.1:{host.port}".encode() in host.requests[0]


async def test_an_allowed_name_may_have_a_private_address() -> None:
    async with image_host(responding(a_response())) as host:
        names = FakeResolver(["127.0.0.1"])
        images = GuardedFetcher(FetchLimits(), allowed_origins=[f"http://images.internal:{host.port}"], resolve=names)

        assert await images.fetch(f"http://IMAGES.internal:{host.port}/a.png") == IMAGE

        await images.aclose()
    assert names.lookups == [("images.internal", host.port)]


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9001/"),
        ("http://127.0.0.1:9000", "http://127.0.0.1/"),
        ("http://127.0.0.1:9000", "https://127.0.0.1:9000/"),
        ("http://127.0.0.1:9000", "http://127.0.0.2:9000/"),
        ("http://127.0.0.1:9000", "http://127.1:9000/"),
        ("http://127.0.0.1:9000", "http://localhost:9000/"),
        ("http://127.0.0.1:9000", "http://[::ffff:127.0.0.1]:9000/"),
        ("http://127.0.0.1:9000", "ftp://127.0.0.1:9000/"),
        ("http://127.0.0.1:9000", "//127.0.0.1:9000/"),
        ("https://images.internal", "http://images.internal/"),
        ("https://images.internal", "http://images.internal:443/"),
        ("https://images.internal", "https://images.internal:8443/"),
        ("https://images.internal", "https://a.images.internal/"),
        ("https://images.internal", "https://xn--images-.internal/"),
        ("http://images.example:443", "https://images.example/"),
    ],
)
async def test_scheme_host_and_port_must_all_be_allowed(allowed: str, url: str) -> None:
    network = LoopbackNetwork()
    images = GuardedFetcher(
        FetchLimits(), allowed_origins=[allowed], resolve=FakeResolver(["127.0.0.1"]), network=network
    )

    with pytest.raises((UnsafeImageUrl, InvalidImageUrl)):
        await images.fetch(url)

    await images.aclose()
    assert network.connected_to == []


@pytest.mark.parametrize("text", ["{origin}\\@1.1.1.1/", "http://user@127.0.0.1:{port}/", "{origin}/a b", " {origin}/"])
async def test_the_rules_on_spelling_apply_to_an_allowed_origin(text: str) -> None:
    async with image_host(responding(a_response())) as host:
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        with pytest.raises(InvalidImageUrl):
            await images.fetch(text.format(origin=host.origin, port=host.port))

        await images.aclose()
    assert host.connections == 0


async def test_the_size_limit_applies_to_an_allowed_origin() -> None:
    async with image_host(responding(a_response(bytes(1001)))) as host:
        images = GuardedFetcher(FetchLimits(raw_bytes=1000), allowed_origins=[host.origin])

        with pytest.raises(ImageTooLarge, match="1000 bytes"):
            await images.fetch(host.url)

        await images.aclose()


async def test_a_redirect_from_one_allowed_origin_to_another_is_followed() -> None:
    async with (
        image_host(responding(a_response())) as second,
        image_host(responding(a_redirect(second.url))) as first,
    ):
        images = GuardedFetcher(FetchLimits(), allowed_origins=[first.origin, second.origin])

        assert await images.fetch(first.url) == IMAGE

        await images.aclose()


async def test_proxies_in_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        image_host(responding(a_response(b"from the proxy"))) as proxy,
        image_host(responding(a_response())) as host,
    ):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
            monkeypatch.setenv(name.lower(), proxy.origin)
        images = GuardedFetcher(FetchLimits(seconds=2), allowed_origins=[host.origin])

        assert await images.fetch(host.url) == IMAGE
        with pytest.raises(UnsafeImageUrl):
            await images.fetch("https://127.0.0.1/a.png")

        await images.aclose()
    assert proxy.connections == 0
