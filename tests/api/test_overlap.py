"""Loading, preparation and moderation overlap: the order is proved by hosts that wait for what must come first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.anonymous import anonymous_client
from tests.support.fake_upstream import answers, stays_silent, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire, loopback_server
from tests.unit.imaging.images import a_plain

clean = answers(verdict())
IMAGES = [a_plain(40 + number, 40, "PNG") for number in range(4)]
PARAM = "messages[0].content[{}].image_url.url"


def moderates_text(request: Received) -> bool:
    return isinstance(request.json()["input"], str)


@dataclass
class Deployment:
    gateway: Gateway
    moderation: LoopbackServer
    host: LoopbackServer
    upstream: LoopbackServer
    moderated: list[asyncio.Event] = field(default_factory=lambda: [asyncio.Event() for _ in IMAGES])
    text_moderated: asyncio.Event = field(default_factory=asyncio.Event)

    def image(self, number: int) -> dict:
        return image_part(f"{self.host.origin}/{number}")

    async def moderate(self, request: Received, wire: Wire) -> None:
        """Find everything clean, and note what was asked."""
        if moderates_text(request):
            self.text_moderated.set()
        else:
            [part] = request.json()["input"]
            self.moderated[[data_url(image) for image in IMAGES].index(part["image_url"]["url"])].set()
        await clean(request, wire)


@asynccontextmanager
async def deployed(**settings: Any) -> AsyncIterator[Deployment]:
    async with (
        loopback_server(clean) as moderation,
        loopback_server(sends_images) as host,
        loopback_server(answers()) as upstream,
    ):
        given: dict[str, Any] = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "k"}
        given |= {"upstream_url": upstream.v1, "fetch_allow": (host.origin,)}
        async with running_gateway(**given | settings) as gateway:
            deployment = Deployment(gateway, moderation, host, upstream)
            moderation.respond = deployment.moderate
            async with asyncio.timeout(20):
                yield deployment


async def sends_images(request: Received, wire: Wire) -> None:
    await wire.answer(200, IMAGES[int(request.path[1:])], "image/png")


def sends_images_after(events: dict[int, asyncio.Event]) -> Respond:
    async def respond(request: Received, wire: Wire) -> None:
        await events[int(request.path[1:])].wait()
        await sends_images(request, wire)

    return respond


async def test_text_is_moderated_while_the_images_load() -> None:
    async with deployed() as deployment:
        deployment.host.respond = sends_images_after({0: deployment.text_moderated})

        response = await deployment.gateway.chat(chat_request(text("hi"), deployment.image(0)))

        assert response.status_code == 200
        assert len(deployment.moderation.received) == 2


async def test_no_image_is_moderated_before_the_last_header_was_walked() -> None:
    async def sends_the_last_late(request: Received, wire: Wire) -> None:
        if request.path == "/3":
            await deployment.host.wait_for_requests(4)
            await deployment.text_moderated.wait()
            assert not any(moderated.is_set() for moderated in deployment.moderated)
        await sends_images(request, wire)

    async with deployed() as deployment:
        deployment.host.respond = sends_the_last_late

        response = await deployment.gateway.chat(chat_request(text("hi"), *map(deployment.image, range(4))))

        assert response.status_code == 200
        assert all(moderated.is_set() for moderated in deployment.moderated)
        [sent] = deployment.upstream.received
        urls = [part["image_url"]["url"] for part in sent.json()["messages"][0]["content"][1:]]
        assert urls == [data_url(image) for image in IMAGES]


async def test_nothing_goes_upstream_before_the_last_verdict() -> None:
    async def waits(request: Received, wire: Wire) -> None:
        if not moderates_text(request):
            await deployment.moderation.wait_for_requests(3)
            assert not deployment.upstream.received
        await clean(request, wire)

    async with deployed() as deployment:
        deployment.moderation.respond = waits

        response = await deployment.gateway.chat(chat_request(text("hi"), deployment.image(0), deployment.image(1)))

        assert response.status_code == 200


async def test_flagged_text_ends_the_loading_of_images() -> None:
    async def flags(request: Received, wire: Wire) -> None:
        await deployment.host.wait_for_requests(2)
        await answers(verdict({"hate": 0.9}))(request, wire)

    async with deployed() as deployment:
        deployment.host.respond, deployment.moderation.respond = stays_silent, flags

        response = await deployment.gateway.chat(chat_request(text("hi"), deployment.image(0), deployment.image(1)))

        assert response.json()["error"]["code"] == "moderation_blocked"
        for request in deployment.host.received:
            await request.caller_left.wait()
        assert not deployment.upstream.received


async def test_a_broken_image_ends_moderation_and_is_named() -> None:
    async def breaks(request: Received, wire: Wire) -> None:
        await deployment.moderation.wait_for_requests(1)
        await wire.answer(200, b"no image", "image/png")

    async with deployed() as deployment:
        deployment.host.respond, deployment.moderation.respond = breaks, stays_silent

        response = await deployment.gateway.chat(
            chat_request(text("hi"), image_part(data_url(IMAGES[0])), deployment.image(1))
        )

        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "unsupported_image_format")
        assert error["param"] == PARAM.format(2)
        for request in deployment.moderation.received:
            await request.caller_left.wait()


@pytest.mark.parametrize("moderation", [clean, stays_silent])
async def test_a_client_that_leaves_ends_all_that_is_under_way(moderation: Respond) -> None:
    async with deployed() as deployment:
        deployment.host.respond, deployment.moderation.respond = stays_silent, moderation
        request = chat_request(text("hi"), deployment.image(0), image_part(data_url(IMAGES[1])))
        pending = asyncio.create_task(deployment.gateway.chat(request))
        await deployment.moderation.wait_for_requests(1)
        await deployment.host.wait_for_requests(1)

        pending.cancel()
        with suppress(asyncio.CancelledError):
            await pending

        await deployment.host.received[0].caller_left.wait()
        if moderation is stays_silent:
            for received in deployment.moderation.received:
                await received.caller_left.wait()
        assert not deployment.upstream.received


async def test_for_the_free_tier_moderation_begins_after_the_last_image() -> None:
    async def sends_the_second_last(request: Received, wire: Wire) -> None:
        await deployment.host.wait_for_requests(3)
        assert not deployment.moderation.received
        await sends_images(request, wire)

    async with deployed() as deployment, anonymous_client(deployment.gateway) as anonymous:
        deployment.host.respond = sends_the_second_last

        response = await anonymous.chat(chat_request(text("hi"), *map(deployment.image, range(3))))

        assert response.status_code == 200
        assert len(deployment.moderation.received) == 4


async def test_for_the_free_tier_a_broken_image_releases_the_request() -> None:
    async def breaks_the_second(request: Received, wire: Wire) -> None:
        await deployment.host.wait_for_requests(2)
        if request.path == "/1":
            await wire.answer(200, b"no image", "image/png")
        else:
            await sends_images(request, wire)

    async with deployed() as deployment, anonymous_client(deployment.gateway) as anonymous:
        deployment.host.respond = breaks_the_second

        for _ in range(2):
            broken = await anonymous.chat(chat_request(text("hi"), deployment.image(0), deployment.image(1)))
            deployment.host.received.clear()
            assert (broken.status_code, broken.headers["x-ratelimit-remaining-requests"]) == (400, "1")
        assert not deployment.moderation.received

        blocked = answers(verdict({"hate": 0.9}))
        deployment.moderation.respond = blocked
        assert (await anonymous.chat(chat_request("hi"))).json()["error"]["code"] == "moderation_blocked"
        assert (await anonymous.chat(chat_request("hi"))).status_code == 429
