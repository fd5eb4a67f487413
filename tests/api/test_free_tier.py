"""The free tier over HTTP: its requests a day for each network, and when a request is released."""

import asyncio
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.support.access_control import FixedClock
from tests.support.anonymous import FREE_TIER, anonymous_client
from tests.support.fake_upstream import CHUNKS, answers, hangs_up, stays_silent, streams, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import LoopbackServer, Respond, loopback_server

REQUEST_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-free-tier: 1\r\ncontent-length: 99\r\n"
    b"expect: 100-continue\r\n\r\n"
)
COUNT_REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_network_has_one_request_a_day_and_the_429_says_how_to_continue() -> None:
    clock = FixedClock()
    async with running_gateway(clock) as gateway, anonymous_client(gateway) as anonymous:
        first = await anonymous.chat(chat_request(text("what is it?"), image_part(a_data_url(8, 8))))
        second = await anonymous.chat(chat_request("hi"))
        clock.at += timedelta(seconds=int(second.headers["retry-after"]))
        third = await anonymous.chat(chat_request("hi"))

        error = second.json()["error"]
        assert [response.status_code for response in (first, second, third)] == [200, 429, 200]
        assert error["code"] == "free_tier_exhausted"
        assert second.headers["x-ratelimit-reset-requests"] == "11h59m50s"
        assert "2026-03-02T00:00:00Z" in error["message"]
        assert "obscura keys create" in error["message"]
        assert third.headers["x-ratelimit-reset-requests"] == "24h0m0s"


async def test_concurrent_requests_never_exceed_the_limit() -> None:
    async with running_gateway(free_tier_requests=5) as gateway, anonymous_client(gateway) as anonymous:
        responses = await asyncio.gather(*[anonymous.chat(chat_request("hi")) for _ in range(50)])

        assert sorted(response.status_code for response in responses) == [200] * 5 + [429] * 45
        left = sorted(
            int(response.headers["x-ratelimit-remaining-requests"]) for response in responses if response.is_success
        )
        assert left == [0, 1, 2, 3, 4]


async def test_the_headers_of_a_failed_request_include_the_released_one(
    upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = answers({}, 500)
    async with anonymous_client(gateway) as anonymous:
        malformed = await anonymous.chat({"model": "m"})
        failed = await anonymous.chat(chat_request("hi"))

        assert [response.status_code for response in (malformed, failed)] == [400, 502]
        assert [response.headers["x-ratelimit-remaining-requests"] for response in (malformed, failed)] == [
            "1",
            "1",
        ]


@pytest.mark.parametrize("value", ["true", "1", "TRUE"])
async def test_the_header_x_free_tier_selects_the_free_tier(value: str) -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as anonymous:
        assert (await anonymous.chat(chat_request("hi"), x_free_tier=value)).status_code == 200


@pytest.mark.parametrize("value", ["", "0", "false", "yes"])
async def test_without_that_header_a_request_is_rejected_and_not_counted(value: str) -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as anonymous:
        rejected = await anonymous.chat(chat_request("hi"), x_free_tier=value)

        assert (rejected.status_code, rejected.json()["error"]["code"]) == (401, "missing_credentials")
        assert (await anonymous.chat(chat_request("hi"))).status_code == 200


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
async def test_a_request_that_fails_before_it_leaves_the_gateway_is_released(body: bytes) -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as anonymous:
        for _ in range(3):
            rejected = await anonymous.client.post("/v1/chat/completions", content=body, headers=FREE_TIER)
            assert rejected.status_code == 400

        assert (await anonymous.chat(chat_request("hi"))).status_code == 200
        assert (await anonymous.chat(chat_request("hi"))).status_code == 429


@pytest.mark.parametrize(
    ("respond", "streamed"),
    [
        (answers({"error": {}}, 500), False),
        (answers(b"nonsense"), False),
        (answers({"error": {}}, 401), False),
        (hangs_up, False),
        (streams(*CHUNKS[:2], then="breaks"), True),
    ],
    ids=["500", "nonsense", "our credentials rejected", "hangs up", "breaks off in mid-stream"],
)
async def test_a_request_is_released_once_if_the_upstream_fails(respond: Respond, streamed: bool) -> None:
    async with loopback_server(respond) as upstream:
        async with (
            running_gateway(upstream_url=upstream.v1, free_tier_requests=2) as gateway,
            anonymous_client(gateway) as anonymous,
        ):
            failed = await anonymous.chat(chat_request("hi", stream=streamed))
            upstream.respond = answers()
            later = [await anonymous.chat(chat_request("hi")) for _ in range(3)]

            assert failed.status_code >= 500 or "error" in failed.text
            assert [response.status_code for response in later] == [200, 200, 429]


async def test_a_request_that_the_upstream_rejects_stays_counted() -> None:
    async with loopback_server(answers({"error": {"message": "no"}}, 400)) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway, anonymous_client(gateway) as anonymous:
            responses = [await anonymous.chat(chat_request("hi")) for _ in range(2)]

            assert [response.status_code for response in responses] == [400, 429]


async def test_a_blocked_request_stays_counted() -> None:
    async with (
        loopback_server(answers(verdict({"violence": 0.9}))) as moderation,
        loopback_server(answers()) as upstream,
    ):
        settings: dict[str, Any] = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "k"}
        async with (
            running_gateway(upstream_url=upstream.v1, **settings) as gateway,
            anonymous_client(gateway) as anonymous,
        ):
            blocked = await anonymous.chat(chat_request("hi"))

            assert blocked.json()["error"]["code"] == "moderation_blocked"
            assert (await anonymous.chat(chat_request("hi"))).status_code == 429


async def test_a_request_is_released_if_moderation_is_unavailable() -> None:
    async with loopback_server(answers({}, 500)) as moderation, loopback_server(answers()) as upstream:
        settings: dict[str, Any] = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "k"}
        async with (
            running_gateway(upstream_url=upstream.v1, **settings) as gateway,
            anonymous_client(gateway) as anonymous,
        ):
            failed = await anonymous.chat(chat_request("hi"))
            moderation.respond = answers(verdict())

            assert failed.status_code == 503
            assert (await anonymous.chat(chat_request("hi"))).status_code == 200


async def test_a_disconnect_while_the_upstream_works_stays_counted() -> None:
    async with loopback_server(stays_silent) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway, anonymous_client(gateway) as anonymous:
            pending = asyncio.create_task(anonymous.chat(chat_request("hi")))
            await upstream.wait_for_requests(1)
            pending.cancel()
            await upstream.received[0].caller_left.wait()

            assert (await anonymous.chat(chat_request("hi"))).status_code == 429


async def test_a_disconnect_before_the_end_of_the_body_releases_the_request() -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as anonymous:
        url = httpx.URL(gateway.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(REQUEST_HEAD)
        # The server requests the body (RFC 9110 §10.1.1) after access control has admitted the caller.
        assert b"100 Continue" in await reader.readline()
        assert (await anonymous.chat(chat_request("hi"))).status_code == 429

        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

        async with asyncio.timeout(5):
            while (await anonymous.chat(chat_request("hi"))).status_code == 429:
                await asyncio.sleep(0)


async def test_counting_tokens_and_listing_models_are_limited_by_the_minute() -> None:
    async with running_gateway(jwt_requests_per_minute=3) as gateway, anonymous_client(gateway) as anonymous:
        counted = [await anonymous.chat(COUNT_REQUEST, "/v1/messages/count_tokens") for _ in range(2)]
        listed = [await anonymous.client.get("/v1/models", headers=FREE_TIER) for _ in range(2)]

        assert [response.status_code for response in [*counted, *listed]] == [200, 200, 200, 429]
        assert listed[0].headers["x-ratelimit-limit-requests"] == "3"
        assert (await anonymous.chat(chat_request("hi"))).status_code == 200


async def test_a_closed_free_tier_rejects_every_request() -> None:
    async with running_gateway(free_tier_requests=0) as gateway, anonymous_client(gateway) as anonymous:
        responses = [
            await anonymous.chat(chat_request("hi")),
            await anonymous.client.get("/v1/models", headers=FREE_TIER),
        ]

        assert {(response.status_code, response.json()["error"]["code"]) for response in responses} == {
            (401, "missing_credentials")
        }


async def test_all_dialects_share_one_quota() -> None:
    message = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with running_gateway(free_tier_requests=3) as gateway, anonymous_client(gateway) as anonymous:
        responses: list[httpx.Response] = [
            await anonymous.chat(chat_request("hi")),
            await anonymous.chat(message, "/v1/messages"),
            await anonymous.chat({"model": "m", "input": "hi"}, "/v1/responses"),
            await anonymous.chat(message, "/v1/messages"),
        ]

        assert [response.status_code for response in responses] == [200, 200, 200, 429]
        assert responses[3].json()["error"]["type"] == "rate_limit_error"
