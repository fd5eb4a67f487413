"""The moderation endpoint: verdicts are read strictly, and everything else fails closed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from obscura.errors import ModerationUnavailable
from obscura.httpclient.transport import FastTransport
from obscura.moderation.base import Verdict
from obscura.moderation.openai import OpenAIModerator
from tests.support.fake_upstream import answers, hangs_up, in_turn, stays_silent, verdict
from tests.support.loopback_server import Received, Respond, Wire, loopback_server
from tests.support.skipping_loop import skip_time

IMAGE = b"data:image/png;base64,AAAA"
CLEAN = {"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": 0.1}}
HIT = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.9}}


@asynccontextmanager
async def moderator_at(
    base_url: str, key: str | None = "sk-mod", timeout_s: float = 5
) -> AsyncIterator[OpenAIModerator]:
    async with FastTransport() as transport:
        yield OpenAIModerator(transport, base_url, key, timeout_s)


async def verdict_of(response: dict | bytes) -> Verdict:
    async with loopback_server(answers(response)) as server, moderator_at(server.v1) as moderator:
        return await moderator.review_text("hi")


async def test_an_image_goes_out_unchanged_and_alone() -> None:
    async with loopback_server(answers(verdict())) as server, moderator_at(server.v1) as moderator:
        assert await moderator.review_image(IMAGE) == Verdict(flagged=False)

        (seen,) = server.received
        assert (seen.method, seen.path) == ("POST", "/v1/moderations")
        assert seen.headers["authorization"] == "Bearer sk-mod"
        assert seen.json() == {
            "model": "omni-moderation-latest",
            "input": [{"type": "image_url", "image_url": {"url": IMAGE.decode()}}],
        }


async def test_text_goes_out_unchanged() -> None:
    async with loopback_server(answers(verdict())) as server, moderator_at(server.v1) as moderator:
        await moderator.review_text('é "quoted" \U0001f600\n')

        assert server.received[0].json()["input"] == 'é "quoted" \U0001f600\n'


async def test_without_a_key_no_authorization_goes_out() -> None:
    async with loopback_server(answers(verdict())) as server, moderator_at(server.v1, key=None) as moderator:
        await moderator.review_text("hi")

        assert "authorization" not in server.received[0].headers


@pytest.mark.parametrize(
    ("response", "category"),
    [
        (verdict({"violence": 0.5, "sexual": 0.9, "hate": 0.7}, harassment=0.99), "sexual"),
        (verdict({"violence": 0.5}, sexual=0.9), "violence"),
        ({"results": [CLEAN, HIT]}, "violence"),
        ({"results": [HIT, HIT | {"categories": {"hate": True}, "category_scores": {"hate": 0.95}}]}, "hate"),
        ({"results": [HIT | {"flagged": False}]}, "violence"),
        ({"results": [HIT | {"category_scores": {}}]}, "violence"),
        ({"results": [HIT | {"category_scores": {"violence": None}}]}, "violence"),
        ({"results": [CLEAN | {"flagged": True}]}, None),
        ({"results": [{"flagged": True, "categories": {}, "category_scores": {}}]}, None),
    ],
    ids=str,
)
async def test_the_category_is_the_hit_with_the_highest_score(response: dict, category: str | None) -> None:
    assert await verdict_of(response) == Verdict(flagged=True, category=category)


@pytest.mark.parametrize(
    "response",
    [
        verdict(),
        verdict(violence=0.99),
        {"results": [CLEAN | {"categories": {"violence": None}}]},
        {"results": [CLEAN] * 2},
    ],
    ids=str,
)
async def test_a_verdict_without_a_hit_is_clean(response: dict) -> None:
    assert await verdict_of(response) == Verdict(flagged=False)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"x":' + b"[" * 100_000,
        {},
        {"results": None},
        {"results": []},
        {"results": {}},
        {"results": [None]},
        {"results": ["clean"]},
        {"results": [{}]},
        {"results": [{"flagged": False}]},
        {"results": [CLEAN | {"flagged": None}]},
        {"results": [CLEAN | {"flagged": "false"}]},
        {"results": [CLEAN | {"flagged": 0}]},
        {"results": [CLEAN | {"categories": None}]},
        {"results": [CLEAN | {"categories": ["violence"]}]},
        {"results": [CLEAN | {"categories": {"violence": "yes"}}]},
        {"results": [CLEAN | {"category_scores": {"violence": "0.9"}}]},
        {"results": [CLEAN, {}]},
        {"error": {"message": "no"}},
    ],
    ids=lambda response: repr(response)[:60],
)
async def test_an_invalid_verdict_fails_closed(response: dict | bytes) -> None:
    with pytest.raises(ModerationUnavailable):
        await verdict_of(response)


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 404, 500, 502])
async def test_another_status_fails_closed_even_with_a_verdict(status: int) -> None:
    async with loopback_server(answers(verdict(), status)) as server, moderator_at(server.v1) as moderator:
        with pytest.raises(ModerationUnavailable, match=str(status)):
            await moderator.review_text("hi")

        assert len(server.received) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_rejected_key_is_reported_as_the_operators_fault(status: int) -> None:
    async with loopback_server(answers({}, status)) as server, moderator_at(server.v1) as moderator:
        with pytest.raises(ModerationUnavailable, match="check OBSCURA_MODERATION_KEY"):
            await moderator.review_text("hello")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_service_gets_at_most_two_retries(status: int) -> None:
    respond = in_turn(*[answers({}, status, retry_after="0")] * 2, answers(verdict({"hate": 1.0})))
    async with loopback_server(respond) as server, moderator_at(server.v1) as moderator:
        assert await moderator.review_text("hi") == Verdict(flagged=True, category="hate")

        assert len(server.received) == 3


@pytest.mark.parametrize("status", [429, 503])
async def test_a_service_that_stays_busy_fails_closed(status: int) -> None:
    async with loopback_server(answers({}, status, retry_after="0")) as server, moderator_at(server.v1) as moderator:
        with pytest.raises(ModerationUnavailable):
            await moderator.review_text("hi")

        assert len(server.received) == 3


async def says_the_head_only(request: Received, wire: Wire) -> None:
    await wire.head(200, content_type="application/json", content_length="100")
    await asyncio.Event().wait()


async def says_a_little_at_a_time(request: Received, wire: Wire) -> None:
    await wire.head(200, content_type="application/json", transfer_encoding="chunked")
    while True:
        await wire.chunk(b" ")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("respond", [stays_silent, says_the_head_only, says_a_little_at_a_time])
async def test_a_slow_service_times_out_and_its_connection_is_dropped(respond: Respond) -> None:
    async with loopback_server(respond) as server, moderator_at(server.v1, timeout_s=600) as moderator:
        reviewing = asyncio.create_task(moderator.review_image(IMAGE))
        await server.wait_for_requests(1)
        for _ in range(100):  # turns of the loop, in which what the service sends arrives
            await asyncio.sleep(0)
        skip_time(600)

        with pytest.raises(ModerationUnavailable, match="within 600 s"):
            await reviewing
        await server.received[0].caller_left.wait()


async def test_a_retry_after_counts_against_the_timeout() -> None:
    respond = answers({}, 503, retry_after="9")
    async with loopback_server(respond) as server, moderator_at(server.v1, timeout_s=0.2) as moderator:
        async with asyncio.timeout(8):  # less than the nine seconds
            with pytest.raises(ModerationUnavailable):
                await moderator.review_text("hi")


async def test_an_endless_response_fails_closed() -> None:
    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="application/json", transfer_encoding="chunked")
        while True:
            await wire.chunk(b" " * 65536)

    async with loopback_server(respond) as server, moderator_at(server.v1) as moderator:
        with pytest.raises(ModerationUnavailable, match="over 1,048,576 bytes"):
            await moderator.review_text("hi")


async def test_a_closed_or_refused_connection_fails_closed() -> None:
    async with loopback_server(hangs_up) as server, moderator_at(server.v1) as moderator:
        with pytest.raises(ModerationUnavailable):
            await moderator.review_text("hi")
    async with moderator_at(server.v1) as moderator:
        with pytest.raises(ModerationUnavailable) as raised:
            await moderator.review_text("hi")

    assert str(server.port) not in raised.value.message


async def test_the_error_never_quotes_the_response_of_the_service() -> None:
    response = json.dumps({"error": {"message": "internal 10.0.0.1 secret"}}).encode()
    async with loopback_server(answers(response, 500)) as server, moderator_at(server.v1) as moderator:
        with pytest.raises(ModerationUnavailable) as raised:
            await moderator.review_text("hi")

    assert "secret" not in raised.value.message
