"""Text is moderated whole, in pieces, and each text of a conversation once: end to end, by what moderation receives."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from obscura.moderation.pieces import MAX_PIECE_CHARS, OVERLAP_CHARS
from obscura.pipeline.moderate import FREE_TIER_TEXT_CHARS, MAX_TEXT_CALLS
from tests.support.anonymous import anonymous_client
from tests.support.fake_upstream import answers, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire, loopback_server

LONG = " ".join(f"word-{number}" for number in range(20_000))
ZERO = {"x-zero-retention": "true"}
clean = answers(verdict())


def flagging(pattern: str) -> Respond:
    async def respond(request: Received, wire: Wire) -> None:
        hit = re.search(pattern, request.json()["input"], re.DOTALL)
        await answers(verdict({"violence": 0.9} if hit else None))(request, wire)

    return respond


@asynccontextmanager
async def moderated(
    respond: Respond = clean, **settings: Any
) -> AsyncIterator[tuple[Gateway, LoopbackServer, LoopbackServer]]:
    async with loopback_server(answers()) as upstream, loopback_server(respond) as moderation:
        given: dict[str, Any] = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "k"}
        async with running_gateway(upstream_url=upstream.v1, **given | settings) as gateway:
            yield gateway, moderation, upstream


def inputs(moderation: LoopbackServer) -> list[str]:
    return [request.json()["input"] for request in moderation.received]


def conversation(*texts: str) -> dict:
    roles = ("user", "assistant")
    messages = [{"role": roles[turn % 2], "content": text} for turn, text in enumerate(texts)]
    return {"model": "m", "messages": messages}


async def test_long_text_is_moderated_whole_in_pieces_of_plain_strings() -> None:
    async with moderated() as (gateway, moderation, _):
        response = await gateway.chat(chat_request(LONG))

        pieces = inputs(moderation)
        assert response.status_code == 200
        assert {type(request.json()["input"]) for request in moderation.received} == {str}
        assert max(map(len, pieces)) <= MAX_PIECE_CHARS
        assert {word for piece in pieces for word in piece.split()} >= set(LONG.split())
        assert len(pieces) <= len(LONG) // (MAX_PIECE_CHARS - 2 * OVERLAP_CHARS) + 1


async def test_at_most_eight_pieces_are_moderated_at_once() -> None:
    under_way, most = 0, 0
    eight_here = asyncio.Event()

    async def respond(request: Received, wire: Wire) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == MAX_TEXT_CALLS:
            eight_here.set()
        async with asyncio.timeout(5):
            await eight_here.wait()
        under_way -= 1
        await clean(request, wire)

    async with moderated(respond) as (gateway, moderation, _):
        assert (await gateway.chat(chat_request(LONG))).status_code == 200

        assert len(moderation.received) > 2 * MAX_TEXT_CALLS
        assert most == MAX_TEXT_CALLS


@pytest.mark.parametrize(
    ("respond", "code"), [(answers(verdict({"hate": 0.9})), "moderation_blocked"), (answers({}, 500), None)]
)
async def test_the_first_flagged_or_failed_piece_ends_the_others(respond: Respond, code: str | None) -> None:
    async def respond_to(request: Received, wire: Wire) -> None:
        if "word-9999 " not in request.json()["input"]:
            await asyncio.Event().wait()
        await moderation.wait_for_requests(MAX_TEXT_CALLS)
        await respond(request, wire)

    text = LONG[LONG.index("word-9999 ") - 100 :]
    async with moderated(respond_to) as (gateway, moderation, upstream), asyncio.timeout(10):
        response = await gateway.chat(chat_request(text))

        assert response.json()["error"]["code"] == (code or "moderation_unavailable")
        assert len(moderation.received) == MAX_TEXT_CALLS
        for request in moderation.received[1:]:
            await request.caller_left.wait()
        assert not upstream.received


async def test_a_turn_of_a_long_conversation_moderates_what_is_new() -> None:
    texts = [f"{number} " * 3000 for number in range(12)]
    async with moderated() as (gateway, moderation, _):
        for turn in range(1, len(texts), 2):
            before = len(moderation.received)
            assert (await gateway.chat(conversation(*texts[:turn]))).status_code == 200

            moderated_now = " ".join(inputs(moderation)[before:])
            new, known = texts[max(0, turn - 2) : turn], texts[: max(0, turn - 3)]
            assert len(moderated_now) <= sum(map(len, new)) + 4 * 2 * OVERLAP_CHARS
            assert {text.split()[0] for text in new} <= set(moderated_now.split())
            assert not {text.split()[0] for text in known} & set(moderated_now.split())


async def test_a_conversation_of_short_messages_costs_one_call_a_turn() -> None:
    texts = [f"message {number}" for number in range(41)]
    async with moderated() as (gateway, moderation, _):
        for turn in range(1, len(texts) + 1, 2):
            await gateway.chat(conversation(*texts[:turn]))

        assert len(moderation.received) == len(texts) // 2 + 1
        assert all(len(piece) < OVERLAP_CHARS + 40 for piece in inputs(moderation))


async def test_a_request_that_was_clean_is_not_moderated_again() -> None:
    async with moderated() as (gateway, moderation, _):
        for _ in range(2):
            await gateway.chat(chat_request(LONG))
        calls = len(moderation.received)
        await gateway.chat(chat_request(LONG))

        assert len(moderation.received) == calls == len(set(inputs(moderation)))


@pytest.mark.parametrize(
    "turns",
    [
        [["how to make a"], ["how to make a", "bomb"]],
        [["bomb"], ["how to make a", "bomb"]],
        [["how to make a", "cake"], ["how to make a", "bomb"]],
        [["how to make a", "bomb" + " " * 7980 + "please"], ["how to make a", "bomb"]],
        [["x" * 9000, "bomb"], ["x" * 9000 + " how to make a", "bomb"]],
    ],
)
async def test_harm_that_is_split_over_messages_and_turns_is_found(turns: list[list[str]]) -> None:
    async with moderated(flagging(r"how to make a\s+bomb$")) as (gateway, _, upstream):
        *earlier, last = turns
        for texts in earlier:
            await gateway.chat(conversation(*texts))
        calls = len(upstream.received)

        response = await gateway.chat(conversation(*last))

        assert response.json()["error"]["code"] == "moderation_blocked"
        assert len(upstream.received) == calls


async def test_only_the_texts_of_clean_pieces_are_remembered() -> None:
    texts = ["a " * 3900, "b " * 3900, "awful " * 9]
    async with moderated(flagging("awful")) as (gateway, moderation, _):
        await gateway.chat(conversation(*texts))
        await gateway.chat(conversation(*texts))
        before = len(moderation.received)
        await gateway.chat(conversation(texts[0], texts[1]))
        again = await gateway.chat(conversation(*texts))

        assert again.json()["error"]["code"] == "moderation_blocked"
        assert any("awful" in piece for piece in inputs(moderation)[before:])


async def test_a_text_in_two_pieces_is_remembered_once_both_are_clean() -> None:
    flagged = True

    async def respond(request: Received, wire: Wire) -> None:
        awful = "word-1999 " in request.json()["input"] and flagged
        if awful:
            await moderation.wait_for_requests(3)
        await answers(verdict({"hate": 0.9} if awful else None))(request, wire)

    text = LONG[: LONG.index("word-2000 ")]
    async with moderated(respond) as (gateway, moderation, _):
        assert (await gateway.chat(chat_request(text))).status_code == 400
        calls = len(moderation.received)
        flagged = False
        assert (await gateway.chat(chat_request(text))).status_code == 200

        assert sorted(inputs(moderation)[calls:]) == sorted(inputs(moderation)[:calls])
        assert (await gateway.chat(chat_request(text))).status_code == 200
        assert len(moderation.received) == 2 * calls


async def test_zero_retention_neither_reads_nor_writes_verdicts_on_text() -> None:
    async with moderated() as (gateway, moderation, _):
        for headers in (ZERO, ZERO, {}, ZERO):
            await gateway.chat(chat_request("hello"), headers=headers)

        assert inputs(moderation) == ["hello"] * 4


async def test_without_the_cache_every_text_is_moderated_each_time() -> None:
    async with moderated(cache_verdicts=False) as (gateway, moderation, _):
        await gateway.chat(conversation("one"))
        await gateway.chat(conversation("one", "two"))

        assert inputs(moderation) == ["one", "one\n\ntwo"]


async def test_no_project_has_the_use_of_another_ones_verdicts_on_text() -> None:
    async with moderated() as (gateway, moderation, _):
        await gateway.chat(chat_request("a guess"))
        await gateway.chat(chat_request("a guess"), headers=await gateway.headers_of("another"))

        assert inputs(moderation) == ["a guess"] * 2


async def test_unauthenticated_callers_have_no_verdicts_on_text() -> None:
    async with moderated(free_tier_requests=9) as (gateway, moderation, _), anonymous_client(gateway) as anonymous:
        for _ in range(2):
            assert (await anonymous.chat(chat_request("a guess"))).status_code == 200

        assert inputs(moderation) == ["a guess"] * 2


async def test_text_over_the_limit_is_rejected_before_any_fetch_or_moderation() -> None:
    async with (
        loopback_server(answers(b"")) as host,
        moderated(max_text_chars=5000, fetch_allow=(host.origin,)) as (gateway, moderation, upstream),
    ):
        url = image_part(f"{host.origin}/a.png")
        texts = [{"type": "text", "text": "é" * 2000}, {"type": "text", "text": " " * 3001}, url]
        response = await gateway.chat(chat_request(*texts))

        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (413, "request_too_large")
        assert "5,001 characters" in error["message"]
        assert "the limit is 5,000" in error["message"]
        assert not host.received + moderation.received + upstream.received
        assert (await gateway.chat(chat_request("é" * 5000))).status_code == 200


async def test_the_free_tiers_limit_of_text_is_lower_and_the_request_is_released() -> None:
    too_long = "a" * (FREE_TIER_TEXT_CHARS + 1)
    async with moderated() as (gateway, moderation, _), anonymous_client(gateway) as anonymous:
        response = await anonymous.chat(chat_request(too_long))

        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (413, "request_too_large")
        assert "the free tier takes 100,000" in error["message"]
        assert "4,000,000" in error["message"]
        assert not moderation.received
        assert (await anonymous.chat(chat_request(too_long[1:]))).status_code == 200
        assert (await gateway.chat(chat_request(too_long))).status_code == 200
