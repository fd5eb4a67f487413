"""Certificates are verified against the name in the URL."""

import asyncio
import gc
import ssl
import warnings

import pytest
import trustme

from obscura.errors import ImageFetchFailed
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from tests.security.image_urls.certificates import client_tls, server_tls
from tests.security.image_urls.hosts import (
    PUBLIC_ADDRESS,
    FakeResolver,
    Host,
    LoopbackNetwork,
    a_response,
    image_host,
    responding,
    stalling_after,
)

CERTIFICATES = {
    "of another name": server_tls("other.example"),
    "of the address": server_tls(PUBLIC_ADDRESS),
    "expired": server_tls("images.example", expired=True),
    "of an unknown authority": server_tls("images.example", trustme.CA()),
}


def images_at(host: Host, ssl_context: ssl.SSLContext | None, seconds: float = 5) -> GuardedFetcher:
    return GuardedFetcher(
        FetchLimits(seconds=seconds),
        resolve=FakeResolver([PUBLIC_ADDRESS]),
        ssl_context=ssl_context,
        network=LoopbackNetwork(host.port),
    )


@pytest.mark.parametrize("certificate", CERTIFICATES.values(), ids=CERTIFICATES.keys())
async def test_an_invalid_certificate_is_a_failed_fetch_and_named_as_such(certificate: ssl.SSLContext) -> None:
    async with image_host(responding(a_response()), certificate) as host:
        images = images_at(host, client_tls())

        with pytest.raises(ImageFetchFailed, match=r"images\.example.*certificate"):
            await images.fetch("https://images.example/a.png")

        await images.aclose()
    assert host.requests == []


async def test_an_unknown_authority_is_rejected_by_default() -> None:
    async with image_host(responding(a_response()), server_tls("images.example")) as host:
        images = images_at(host, None)

        with pytest.raises(ImageFetchFailed, match="certificate"):
            await images.fetch("https://images.example/a.png")

        await images.aclose()


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_a_host_without_tls_is_a_failed_fetch(greeting: bytes) -> None:
    async with image_host(responding(greeting), sends_first=True) as host:
        images = images_at(host, client_tls())

        with pytest.raises(ImageFetchFailed, match=r"images\.example.*(TLS|reached|dropped)"):
            await images.fetch("https://images.example/a.png")

        await images.aclose()


async def test_a_handshake_that_never_ends_is_cut_off_and_disconnected() -> None:
    async with image_host(stalling_after(b"")) as host:
        images = images_at(host, client_tls(), seconds=0.2)

        with pytest.raises(ImageFetchFailed, match=r"longer than 0\.2 s"):
            await images.fetch("https://images.example/a.png")

        await images.aclose()
        await host.all_closed.wait()


async def test_a_fetch_cancelled_during_a_handshake_leaves_no_connection_open() -> None:
    async with image_host(stalling_after(b""), server_tls("images.example")) as host:
        images = images_at(host, client_tls())

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            for steps in range(40):
                fetching = asyncio.create_task(images.fetch("https://images.example/a.png"))
                for _ in range(steps):
                    await asyncio.sleep(0)
                fetching.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await fetching

            await images.aclose()
            await host.all_closed.wait()
            gc.collect()
    assert host.connections > 10
    assert not [warning for warning in caught if "raddr=" in str(warning.message)]
