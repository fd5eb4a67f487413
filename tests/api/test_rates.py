"""Rate limits over HTTP: requests a minute, and the headers of every response, errors included."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from obscura.access_record import duration
from obscura.auth.api_keys import create_key
from obscura.stores.sqlite.keys import SqliteKeyStore
from tests.support.access_control import FixedClock
from tests.support.fake_upstream import answers, streams
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import LoopbackServer, loopback_server

AT_NOON = FixedClock()
NAMES = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")


def rate_limit_of(response: httpx.Response) -> tuple[int, int, str]:
    """The limit, what is left of it, and when it is reset."""
    limit, remaining, reset = (response.headers[name] for name in NAMES)
    return int(limit), int(remaining), reset


async def test_a_key_has_120_requests_a_minute_and_each_response_counts_down() -> None:
    async with running_gateway(AT_NOON, key_requests_per_minute=120) as gateway:
        headers = await new_key_headers(gateway)

        first = await gateway.chat(chat_request("hi"), headers=headers)
        second = await gateway.client.get("/v1/models", headers=headers)

        assert rate_limit_of(first) == (120, 119, "50s")
        assert rate_limit_of(second) == (120, 118, "50s")


async def test_the_next_minute_starts_at_zero() -> None:
    clock = FixedClock()
    async with running_gateway(clock, key_requests_per_minute=1) as gateway:
        before = [await gateway.chat(chat_request("hi")) for _ in range(2)]
        clock.at += timedelta(seconds=50)
        after = await gateway.chat(chat_request("hi"))

        assert [response.status_code for response in before] == [200, 429]
        assert before[1].headers["retry-after"] == "50"
        assert rate_limit_of(after) == (1, 0, "1m0s")


async def test_past_the_limit_a_429_says_when_to_retry_and_nothing_is_forwarded() -> None:
    async with loopback_server(answers()) as upstream:
        async with running_gateway(AT_NOON, upstream_url=upstream.v1, key_requests_per_minute=5) as gateway:
            responses = await asyncio.gather(*[gateway.chat(chat_request("hi")) for _ in range(20)])

            rejected = [response for response in responses if response.status_code == 429]
            assert len(rejected) == 15
            assert len(upstream.received) == 5
            for response in rejected:
                assert response.json()["error"]["code"] == "rate_limit_exceeded"
                assert "5 requests a minute" in response.json()["error"]["message"]
                assert response.headers["retry-after"] == "50"
                assert rate_limit_of(response) == (5, 0, "50s")


async def test_a_failed_request_is_counted_and_its_headers_say_what_is_left() -> None:
    async with running_gateway(AT_NOON, key_requests_per_minute=9) as gateway:
        paths = ("/v1/chat/completions", "/v1/messages", "/v1/responses")
        responses = [await gateway.client.post(path, content=b"{") for path in paths]

        assert [(response.status_code, *rate_limit_of(response)[:2]) for response in responses] == [
            (400, 9, 8),
            (400, 9, 7),
            (400, 9, 6),
        ]


@pytest.mark.gateway(key_requests_per_minute=9)
async def test_a_stream_has_the_headers_too(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = streams()
    response = await gateway.chat(chat_request("hi", stream=True))

    assert response.headers["content-type"].startswith("text/event-stream")
    assert rate_limit_of(response)[0] == 9


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
async def test_without_admission_the_headers_say_that_nothing_is_left(
    method: str, path: str, headers: dict[str, str], status: int, demo_gateway: Gateway
) -> None:
    response = await demo_gateway.client.request(method, path, headers=headers)

    limit, remaining, reset = rate_limit_of(response)
    assert (response.status_code, limit, remaining) == (status, 0, 0)
    assert reset == "1m0s" or 55 <= int(reset.removesuffix("s")) <= 59


async def new_key_headers(gateway: Gateway, **limits: Any) -> dict[str, str]:
    _, secret = await create_key(SqliteKeyStore(gateway.database), "tests", **limits)
    return {"authorization": f"Bearer {secret}"}


async def test_the_limit_of_a_key_replaces_the_default() -> None:
    async with running_gateway(AT_NOON, key_requests_per_minute=3) as gateway:
        headers = await new_key_headers(gateway, requests_per_minute=7)

        response = await gateway.chat(chat_request("hi"), headers=headers)

        assert rate_limit_of(response)[:2] == (7, 6)


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
async def test_a_key_with_scopes_is_for_those_families_only(
    scope: str, method: str, path: str, body: dict[str, Any] | None, demo_gateway: Gateway
) -> None:
    inside = await new_key_headers(demo_gateway, scopes=frozenset({scope, "files"}))
    outside = await new_key_headers(
        demo_gateway, scopes=frozenset({"chat", "messages", "responses", "models"} - {scope})
    )

    admitted = await demo_gateway.client.request(method, path, json=body, headers=inside)
    rejected = await demo_gateway.client.request(method, path, json=body, headers=outside)

    assert admitted.status_code == 200
    assert (rejected.status_code, rejected.json()["error"]["code"]) == (403, "permission_denied")
    assert scope in rejected.json()["error"]["message"]
    assert rate_limit_of(rejected)[:2] == (0, 0)


async def test_messages_has_the_headers_of_its_own_family_too() -> None:
    async with running_gateway(AT_NOON, key_requests_per_minute=9) as gateway:
        message = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        answered = await gateway.client.post("/v1/messages", json=message)
        refused = await gateway.client.post("/v1/messages", content=b"{")
        chat = await gateway.chat(chat_request("hi"))

    for response, left in ((answered, "8"), (refused, "7")):
        assert {name: value for name, value in response.headers.items() if name.startswith("anthropic-")} == {
            "anthropic-ratelimit-requests-limit": "9",
            "anthropic-ratelimit-requests-remaining": left,
            "anthropic-ratelimit-requests-reset": "2026-03-01T12:01:00Z",
        }
        assert response.headers["x-ratelimit-reset-requests"] == "50s"
    assert not [name for name in chat.headers if name.startswith("anthropic-")]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-3, "0s"),
        (0.0001, "1ms"),
        (0.35, "350ms"),
        (0.9999, "1000ms"),
        (1, "1s"),
        (49.2, "50s"),
        (60, "1m0s"),
        (72, "1m12s"),
        (3599.5, "1h0m0s"),
        (86400, "24h0m0s"),
    ],
)
def test_a_duration_is_written_as_openai_writes_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
