"""A redirect is a URL like the first one."""

import pytest

from obscura.errors import ImageFetchFailed, InvalidImageUrl, ObscuraError, UnsafeImageUrl
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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(status: int) -> None:
    async with image_host(responding(a_redirect("../b.png?y#z", status), a_response())) as host:
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        assert await images.fetch(host.url) == IMAGE

        await images.aclose()
    assert [request.split()[:2] for request in host.requests] == [
        [b"GET", b"/secret-path/a.png?secret=query"],
        [b"GET", b"/b.png?y"],
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_a_private_address_is_rejected(status: int) -> None:
    async with (
        image_host(responding(a_response())) as canary,
        image_host(responding(a_redirect(canary.url, status))) as host,
    ):
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        with pytest.raises(UnsafeImageUrl) as rejected:
            await images.fetch(host.url)

        await images.aclose()
    assert canary.connections == 0
    assert str(canary.port) not in rejected.value.message


@pytest.mark.parametrize("status", [300, 304, 305, 306, 309, 399])
async def test_other_3xx_statuses_are_no_redirects(status: int) -> None:
    async with image_host(responding(a_redirect("/b.png", status))) as host:
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        with pytest.raises(ImageFetchFailed, match=str(status)):
            await images.fetch(host.url)

        await images.aclose()
    assert host.connections == 1


ELSEWHERE: list[tuple[str, type[ObscuraError]]] = [
    ("https://127.0.0.1/", UnsafeImageUrl),
    ("https://10.1.2.3/", UnsafeImageUrl),
    ("http://169.254.169.254/latest/meta-data/", UnsafeImageUrl),
    ("https://[::1]/", UnsafeImageUrl),
    ("https://0x7f.1/", UnsafeImageUrl),
    ("//127.0.0.1/", UnsafeImageUrl),
    ("//localhost/", UnsafeImageUrl),
    ("https://metadata.google.internal/", UnsafeImageUrl),
    ("https://other.example:8443/", UnsafeImageUrl),
    ("file://localhost/etc/passwd", UnsafeImageUrl),
    ("http://images.example/a.png", InvalidImageUrl),
    ("http://other.example/", InvalidImageUrl),
    ("ftp://other.example/", InvalidImageUrl),
    ("file:///etc/passwd", InvalidImageUrl),
    ("data:image/png;base64,AAAA", InvalidImageUrl),
    ("javascript:alert(1)", InvalidImageUrl),
    ("https://user@other.example/", InvalidImageUrl),
    ("//user:password@127.0.0.1/", InvalidImageUrl),
    ("https://other.example\\@127.0.0.1/", InvalidImageUrl),
    ("/\\127.0.0.1/", InvalidImageUrl),
    ("\\\\127.0.0.1\\", InvalidImageUrl),
    ("https:127.0.0.1", InvalidImageUrl),
    ("///127.0.0.1/", InvalidImageUrl),
    ("https://%3127.0.0.1/", InvalidImageUrl),
    ("https://bücher.example/", InvalidImageUrl),
    ("https://other.example:/", InvalidImageUrl),
    ("https://other.example./", InvalidImageUrl),
    ("/a b.png", InvalidImageUrl),
    ("/" + "a" * 9000, InvalidImageUrl),
]


@pytest.mark.parametrize(("location", "error"), ELSEWHERE, ids=[ascii(location)[:50] for location, _ in ELSEWHERE])
async def test_a_redirect_from_a_public_host_is_checked_in_full(location: str, error: type[ObscuraError]) -> None:
    async with image_host(responding(a_redirect(location)), server_tls("images.example")) as host:
        network = LoopbackNetwork(host.port)
        images = GuardedFetcher(
            FetchLimits(), resolve=FakeResolver([PUBLIC_ADDRESS]), ssl_context=client_tls(), network=network
        )

        with pytest.raises(error, match=r"host images\.example, after 1 redirect") as rejected:
            await images.fetch("https://images.example/a.png")

        await images.aclose()
    assert host.connections == len(network.connected_to) == 1
    assert not any(name in rejected.value.message for name in ("127.0.0.1", "10.1.2.3", "other.example", "metadata"))


async def test_a_redirect_to_another_host_sends_no_cookie_and_no_referer() -> None:
    tls = server_tls("*.images.example")
    cookie_and_redirect = a_response(
        b"", "302 Found", ["Location: //cdn.images.example/b.png", "Set-Cookie: session=1; Domain=images.example"]
    )
    async with image_host(responding(cookie_and_redirect, a_response()), tls) as host:
        names, network = FakeResolver([PUBLIC_ADDRESS], ["1.1.1.1"]), LoopbackNetwork(host.port)
        images = GuardedFetcher(FetchLimits(), resolve=names, ssl_context=client_tls(), network=network)

        assert await images.fetch("https://images.images.example/a.png") == IMAGE

        await images.aclose()
    assert network.connected_to == [(PUBLIC_ADDRESS, 443), ("1.1.1.1", 443)]
    assert host.server_names == ["images.images.example", "cdn.images.example"]
    headers = {line.partition(b":")[0].lower() for line in host.requests[1].split(b"\r\n")[1:] if line}
    assert headers == {b"host", b"user-agent", b"accept", b"accept-encoding", b"connection"}


@pytest.mark.parametrize("hops", [0, 1, 2, 3])
async def test_three_redirects_are_followed(hops: int) -> None:
    async with image_host(responding(*[a_redirect("/on")] * hops, a_response())) as host:
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        assert await images.fetch(host.url) == IMAGE

        await images.aclose()
    assert host.connections == hops + 1


@pytest.mark.parametrize("location", ["/on", "", "?again"])
async def test_a_fourth_redirect_is_a_failed_fetch_and_so_is_every_loop(location: str) -> None:
    async with image_host(responding(a_redirect(location))) as host:
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        with pytest.raises(ImageFetchFailed, match="more than 3 times"):
            await images.fetch(host.url)

        await images.aclose()
    assert host.connections == 4


@pytest.mark.parametrize("headers", [[], ["Location: /a", "Location: /b"]])
async def test_a_redirect_needs_exactly_one_location(headers: list[str]) -> None:
    async with image_host(responding(a_response(b"", "302 Found", headers))) as host:
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        with pytest.raises(ImageFetchFailed, match="302"):
            await images.fetch(host.url)

        await images.aclose()
