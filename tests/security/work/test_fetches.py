"""What a request makes the gateway fetch: bounded over all of its URLs, and ended by the first failure."""

import asyncio

import pytest

from obscura.errors import ImageFetchFailed, ObscuraError, RequestTooLarge
from obscura.fetch.base import FetchAllowance
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from tests.security.image_urls.hosts import a_redirect, a_response, image_host, responding
from tests.support.gateway import chat_request, image_part, running_gateway
from tests.support.loopback_server import Received, Wire, loopback_server


async def test_the_bytes_of_all_fetches_of_a_request_are_bounded() -> None:
    allowance = FetchAllowance(max_bytes=250, max_redirects=1)
    async with image_host(responding(a_response(bytes(100)))) as host:
        fetcher = GuardedFetcher(FetchLimits(), [host.origin])

        assert [len(await fetcher.fetch(host.url, allowance)) for _ in range(2)] == [100, 100]
        with pytest.raises(RequestTooLarge, match="MiB in all, the limit; send fewer"):
            await fetcher.fetch(host.url, allowance)

        assert len(await fetcher.fetch(host.url)) == 100
        await fetcher.aclose()


async def test_the_redirects_of_all_fetches_of_a_request_are_bounded() -> None:
    allowance = FetchAllowance(max_bytes=1000, max_redirects=3)
    async with image_host(responding(*[a_redirect("/on"), a_redirect("/on"), a_response()] * 2)) as host:
        fetcher = GuardedFetcher(FetchLimits(), [host.origin])

        await fetcher.fetch(host.url, allowance)
        with pytest.raises(ImageFetchFailed, match="more than 3 times in all"):
            await fetcher.fetch(host.url, allowance)
        await fetcher.aclose()


@pytest.mark.parametrize("answer", [(404, b""), (200, b"no image")])
async def test_the_first_fetch_that_fails_ends_the_others(answer: tuple[int, bytes]) -> None:
    async def respond(request: Received, wire: Wire) -> None:
        if request.path == "/2":
            await host.wait_for_requests(4)
            await wire.answer(*answer, "image/png")
        else:
            await asyncio.Event().wait()

    async with loopback_server(respond) as host, running_gateway(fetch_allow=(host.origin,)) as gateway:
        parts = [image_part(f"{host.origin}/{number}") for number in range(4)]

        response = await gateway.chat(chat_request(*parts) | {"model": "obscura-demo"})

        assert response.status_code == 400
        assert response.json()["error"]["param"] == "messages[0].content[2].image_url.url"
        async with asyncio.timeout(5):
            for request in host.received:
                if request.path != "/2":
                    await request.caller_left.wait()


async def test_an_image_in_the_request_itself_is_refused_before_any_fetch() -> None:
    async with loopback_server(never) as host, running_gateway(fetch_allow=(host.origin,)) as gateway:
        parts = [image_part(f"{host.origin}/a"), image_part("data:image/png;base64,AAAA")]

        response = await gateway.chat(chat_request(*parts) | {"model": "obscura-demo"})

        assert response.json()["error"]["param"] == "messages[0].content[1].image_url.url"
        assert not host.received


async def never(request: Received, wire: Wire) -> None:
    raise ObscuraError(f"{request.path} was fetched")
