"""Rates over the wire: so many requests a minute, told on every answer, errors included."""

import asyncio
import time
from datetime import datetime, timedelta

import httpx
import pytest

from obscura.auth.api_keys import create_key
from obscura.stores.sqlite.keys import SqliteKeyStore
from tests.support.access_control import FixedClock
from tests.support.fake_upstream import answers, streams
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import loopback_server

AT_NOON = FixedClock()
NAMES = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")


def told_by(answer: httpx.Response) -> tuple[int, int, str]:
    """The limit, what is left of it, and when it is reset."""
    limit, remaining, reset = (answer.headers[name] for name in NAMES)
    return int(limit), int(remaining), reset


async def test_a_key_may_ask_120_times_a_minute_and_each_answer_says_what_is_left() -> None:
    async with running_gateway(AT_NOON, key_requests_per_minute=120) as gateway:
        headers = await a_key_with(gateway)

        first = await gateway.chat(chat_request("hi"), headers=headers)
        second = await gateway.client.get("/v1/models", headers=headers)

        assert told_by(first) == (120, 119, "2026-03-01T12:01:00Z")
        assert told_by(second) == (120, 118, "2026-03-01T12:01:00Z")


async def test_the_next_minute_has_all_its_requests() -> None:
    clock = FixedClock()
    async with running_gateway(clock, key_requests_per_minute=1) as gateway:
        before = [await gateway.chat(chat_request("hi")) for _ in range(2)]
        clock.at += timedelta(seconds=50)
        after = await gateway.chat(chat_request("hi"))

        assert [answer.status_code for answer in before] == [200, 429]
        assert before[1].headers["retry-after"] == "50"
        assert told_by(after) == (1, 0, "2026-03-01T12:02:00Z")


async def test_past_its_rate_a_key_is_told_when_to_come_again_and_nothing_goes_upstream() -> None:
    async with loopback_server(answers()) as upstream:
        async with running_gateway(AT_NOON, upstream_url=upstream.v1, key_requests_per_minute=5) as gateway:
            response = await asyncio.gather(*[gateway.chat(chat_request("hi")) for _ in range(20)])

            refused = [answer for answer in response if answer.status_code == 429]
            assert len(refused) == 15
            assert len(upstream.received) == 5
            for answer in refused:
                assert answer.json()["error"]["code"] == "rate_limit_exceeded"
                assert "5 requests a minute" in answer.json()["error"]["message"]
                assert answer.headers["retry-after"] == "50"
                assert told_by(answer) == (5, 0, "2026-03-01T12:01:00Z")


async def test_an_error_of_a_known_caller_counts_and_says_what_is_left() -> None:
    async with running_gateway(AT_NOON, key_requests_per_minute=9) as gateway:
        paths = ("/v1/chat/completions", "/v1/messages", "/v1/responses")
        response = [await gateway.client.post(path, content=b"{") for path in paths]

        assert [(answer.status_code, *told_by(answer)[:2]) for answer in response] == [
            (400, 9, 8),
            (400, 9, 7),
            (400, 9, 6),
        ]


async def test_a_stream_says_what_is_left_in_its_head() -> None:
    async with loopback_server(streams()) as upstream:
        async with running_gateway(upstream_url=upstream.v1, key_requests_per_minute=9) as gateway:
            response = await gateway.chat(chat_request("hi", stream=True))

            assert response.headers["content-type"].startswith("text/event-stream")
            assert told_by(response)[0] == 9


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/chat/completions", {"authorization": "Bearer obs_wrong"}, 401),
        ("POST", "/v1/messages", {"authorization": "Basic x"}, 401),
        ("GET", "/v1/models", {"authorization": "Bearer a.b.c"}, 401),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/v1/chat/completions", {}, 405),
        ("GET", "/healthz", {}, 200),
        ("GET", "/openapi.json", {}, 200),
    ],
)
async def test_who_was_not_let_in_is_told_nothing_is_left_for_a_minute(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with running_gateway() as gateway:
        response = await gateway.client.request(method, path, headers=headers)

        limit, remaining, reset = told_by(response)
        assert (response.status_code, limit, remaining) == (status, 0, 0)
        assert 55 <= datetime.fromisoformat(reset).timestamp() - time.time() <= 61


async def a_key_with(gateway: Gateway, **limits: object) -> dict[str, str]:
    _, secret = await create_key(SqliteKeyStore(gateway.database), "tests", **limits)
    return {"authorization": f"Bearer {secret}"}


async def test_a_key_with_its_own_rate_keeps_to_that() -> None:
    async with running_gateway(AT_NOON, key_requests_per_minute=3) as gateway:
        headers = await a_key_with(gateway, requests_per_minute=7)

        response = await gateway.chat(chat_request("hi"), headers=headers)

        assert told_by(response)[:2] == (7, 6)


MESSAGE = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("chat", "POST", "/v1/chat/completions", chat_request("hi")),
        ("messages", "POST", "/v1/messages", MESSAGE),
        ("messages", "POST", "/v1/messages/count_tokens", MESSAGE),
        ("responses", "POST", "/v1/responses", {"model": "m", "input": "hi"}),
        ("models", "GET", "/v1/models", None),
        ("models", "GET", "/api/models", None),
    ],
)
async def test_a_key_with_scopes_opens_those_families_and_no_other(
    scope: str, method: str, path: str, body: dict | None
) -> None:
    async with running_gateway() as gateway:
        inside = await a_key_with(gateway, scopes=frozenset({scope, "files"}))
        outside = await a_key_with(gateway, scopes=frozenset({"chat", "messages", "responses", "models"} - {scope}))

        let_in = await gateway.client.request(method, path, json=body, headers=inside)
        refused = await gateway.client.request(method, path, json=body, headers=outside)

        assert let_in.status_code == 200
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
        assert scope in refused.json()["error"]["message"]
        assert told_by(refused)[:2] == (0, 0)
