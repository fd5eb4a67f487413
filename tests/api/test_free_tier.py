"""The free tier over the wire: so many requests a day for a network, and when a place goes back."""

import asyncio
import json
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest

from tests.support.access_control import FixedClock
from tests.support.anonymous import FREE_TIER, anonymous_client
from tests.support.fake_upstream import CHUNKS, answers, hangs_up, stays_silent, streams, verdict
from tests.support.gateway import chat_request, image_part, running_gateway, text
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import Respond, loopback_server

BEGUN = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-free-tier: 1\r\ncontent-length: 99\r\n"
    b"expect: 100-continue\r\n\r\n"
)
COUNTED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_stranger_asks_once_a_day_and_is_then_told_when_and_how_to_go_on() -> None:
    clock = FixedClock()
    async with running_gateway(clock) as gateway, anonymous_client(gateway) as stranger:
        first = await stranger.chat(chat_request(text("what is it?"), image_part(a_data_url(8, 8))))
        second = await stranger.chat(chat_request("hi"))
        clock.at += timedelta(seconds=int(second.headers["retry-after"]))
        third = await stranger.chat(chat_request("hi"))

        error = second.json()["error"]
        assert [answer.status_code for answer in (first, second, third)] == [200, 429, 200]
        assert error["code"] == "free_tier_exhausted"
        assert second.headers["x-ratelimit-reset-requests"] == "2026-03-02T00:00:00Z"
        assert "2026-03-02T00:00:00Z" in error["message"]
        assert "obscura keys create" in error["message"]
        assert third.headers["x-ratelimit-reset-requests"] == "2026-03-03T00:00:00Z"


async def test_exactly_as_many_strangers_pass_as_there_are_places_however_many_come_at_once() -> None:
    async with running_gateway(free_tier_requests=5) as gateway, anonymous_client(gateway) as stranger:
        response = await asyncio.gather(*[stranger.chat(chat_request("hi")) for _ in range(50)])

        assert sorted(answer.status_code for answer in response) == [200] * 5 + [429] * 45
        left = sorted(int(answer.headers["x-ratelimit-remaining-requests"]) for answer in response if answer.is_success)
        assert left == [0, 1, 2, 3, 4]


async def test_an_answer_tells_of_the_place_that_it_gave_back() -> None:
    async with loopback_server(answers({}, 500)) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        async with anonymous_client(gateway) as stranger:
            malformed = await stranger.chat({"model": "m"})
            failed = await stranger.chat(chat_request("hi"))

            assert [response.status_code for response in (malformed, failed)] == [400, 502]
            assert [response.headers["x-ratelimit-remaining-requests"] for response in (malformed, failed)] == [
                "1",
                "1",
            ]


@pytest.mark.parametrize("value", ["true", "1", "TRUE"])
async def test_the_free_tier_is_asked_for_with_a_header(value: str) -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as stranger:
        assert (await stranger.chat(chat_request("hi"), x_free_tier=value)).status_code == 200


@pytest.mark.parametrize("value", ["", "0", "false", "yes"])
async def test_without_that_header_nobody_comes_in_and_no_place_is_taken(value: str) -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as stranger:
        refused = await stranger.chat(chat_request("hi"), x_free_tier=value)

        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "missing_credentials")
        assert (await stranger.chat(chat_request("hi"))).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"model": "m"}',
        json.dumps(chat_request(image_part("x"))).encode(),
    ],
    ids=["no JSON", "no request", "no messages", "no image"],
)
async def test_a_request_that_fails_before_anything_was_asked_gives_its_place_back(body: bytes) -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as stranger:
        for _ in range(3):
            refused = await stranger.client.post("/v1/chat/completions", content=body, headers=FREE_TIER)
            assert refused.status_code == 400

        assert (await stranger.chat(chat_request("hi"))).status_code == 200
        assert (await stranger.chat(chat_request("hi"))).status_code == 429


@pytest.mark.parametrize(
    ("respond", "streamed"),
    [
        (answers({"error": {}}, 500), False),
        (answers(b"nonsense"), False),
        (answers({"error": {}}, 401), False),
        (hangs_up, False),
        (streams(*CHUNKS[:2], then="breaks"), True),
    ],
    ids=["500", "nonsense", "our credentials refused", "hangs up", "breaks off in mid-stream"],
)
async def test_a_place_goes_back_once_when_the_upstream_fails(respond: Respond, streamed: bool) -> None:
    async with loopback_server(respond) as upstream:
        async with (
            running_gateway(upstream_url=upstream.v1, free_tier_requests=2) as gateway,
            anonymous_client(gateway) as stranger,
        ):
            failed = await stranger.chat(chat_request("hi", stream=streamed))
            upstream.respond = answers()
            then = [await stranger.chat(chat_request("hi")) for _ in range(3)]

            assert failed.status_code >= 500 or "error" in failed.text
            assert [answer.status_code for answer in then] == [200, 200, 429]


async def test_a_request_that_the_upstream_refuses_keeps_its_place() -> None:
    async with loopback_server(answers({"error": {"message": "no"}}, 400)) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway, anonymous_client(gateway) as stranger:
            response = [await stranger.chat(chat_request("hi")) for _ in range(2)]

            assert [answer.status_code for answer in response] == [400, 429]


async def test_a_blocked_request_keeps_its_place() -> None:
    async with (
        loopback_server(answers(verdict({"violence": 0.9}))) as moderation,
        loopback_server(answers()) as upstream,
    ):
        settings = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "k"}
        async with (
            running_gateway(upstream_url=upstream.v1, **settings) as gateway,
            anonymous_client(gateway) as stranger,
        ):
            blocked = await stranger.chat(chat_request("hi"))

            assert blocked.json()["error"]["code"] == "moderation_blocked"
            assert (await stranger.chat(chat_request("hi"))).status_code == 429


async def test_a_place_goes_back_when_moderation_cannot_be_had() -> None:
    async with loopback_server(answers({}, 500)) as moderation, loopback_server(answers()) as upstream:
        settings = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "k"}
        async with (
            running_gateway(upstream_url=upstream.v1, **settings) as gateway,
            anonymous_client(gateway) as stranger,
        ):
            failed = await stranger.chat(chat_request("hi"))
            moderation.respond = answers(verdict())

            assert failed.status_code == 503
            assert (await stranger.chat(chat_request("hi"))).status_code == 200


async def test_a_caller_who_leaves_during_the_upstreams_work_keeps_no_claim_to_the_place() -> None:
    async with loopback_server(stays_silent) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway, anonymous_client(gateway) as stranger:
            leaving = asyncio.create_task(stranger.chat(chat_request("hi")))
            await upstream.wait_for_requests(1)
            leaving.cancel()
            await upstream.received[0].caller_left.wait()

            assert (await stranger.chat(chat_request("hi"))).status_code == 429


async def test_a_caller_who_leaves_before_the_body_is_whole_gives_the_place_back() -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as stranger:
        url = httpx.URL(gateway.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(BEGUN)
        # The server asks for the body (RFC 9110 §10.1.1) once the caller is through the door.
        assert b"100 Continue" in await reader.readline()
        assert (await stranger.chat(chat_request("hi"))).status_code == 429

        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

        async with asyncio.timeout(5):
            while (await stranger.chat(chat_request("hi"))).status_code == 429:
                await asyncio.sleep(0)


async def test_counting_tokens_and_listing_models_take_no_place_and_are_counted_by_the_minute() -> None:
    async with running_gateway(jwt_requests_per_minute=3) as gateway, anonymous_client(gateway) as stranger:
        counted = [await stranger.chat(COUNTED, "/v1/messages/count_tokens") for _ in range(2)]
        listed = [await stranger.client.get("/v1/models", headers=FREE_TIER) for _ in range(2)]

        assert [answer.status_code for answer in [*counted, *listed]] == [200, 200, 200, 429]
        assert listed[0].headers["x-ratelimit-limit-requests"] == "3"
        assert (await stranger.chat(chat_request("hi"))).status_code == 200


async def test_a_closed_free_tier_lets_nobody_in_for_anything() -> None:
    async with running_gateway(free_tier_requests=0) as gateway, anonymous_client(gateway) as stranger:
        response = [await stranger.chat(chat_request("hi")), await stranger.client.get("/v1/models", headers=FREE_TIER)]

        assert {(answer.status_code, answer.json()["error"]["code"]) for answer in response} == {
            (401, "missing_credentials")
        }


async def test_every_dialect_takes_from_the_same_places() -> None:
    message = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with running_gateway(free_tier_requests=3) as gateway, anonymous_client(gateway) as stranger:
        response: list[httpx.Response] = [
            await stranger.chat(chat_request("hi")),
            await stranger.chat(message, "/v1/messages"),
            await stranger.chat({"model": "m", "input": "hi"}, "/v1/responses"),
            await stranger.chat(message, "/v1/messages"),
        ]

        assert [answer.status_code for answer in response] == [200, 200, 200, 429]
        assert response[3].json()["error"]["type"] == "rate_limit_error"
