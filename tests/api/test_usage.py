"""What requests use: the cost in an answer, usage by key, model and day, budgets of keys."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from obscura.auth.access import JWT_SUBJECT
from obscura.usage.base import Budget, parse_budgets
from tests.support.fake_upstream import ANSWER, CHUNKS, answers, chunk, hangs_up, streams
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import LoopbackServer, Respond, loopback_server
from tests.support.stores import dynamodb, sqlite_file

PRICES = "input_per_million = 2.5\noutput_per_million = 10\ncached_per_million = 1.25\nimage_per_million = 5"
COST_USD = 10 * 2.5e-6 + 2 * 10e-6
COST = {"x-obscura-cost": "true"}


@asynccontextmanager
async def priced(
    folder: Path, respond: Respond, model: str = PRICES, dialects: str = '"chat"', **settings: Any
) -> AsyncIterator[tuple[Gateway, LoopbackServer]]:
    async with loopback_server(respond) as upstream:
        catalog = folder / "models.toml"
        catalog.write_text(
            f'[[upstreams]]\nname = "u"\nurl = "{upstream.v1}"\ndialects = [{dialects}]\n'
            f'[[models]]\nid = "m"\nupstream = "u"\n{model}\n'
        )
        async with running_gateway(models=catalog, **settings) as gateway:
            yield gateway, upstream


def messages_request(**fields: Any) -> dict:
    return {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]} | fields


def events(body: str) -> list[dict]:
    lines = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", chat_request("hi")),
        ("/v1/messages", messages_request()),
        ("/v1/responses", {"model": "m", "input": "hi"}),
        ("/policy/v1/chat/completions", chat_request("hi")),
    ],
)
async def test_the_cost_is_in_the_usage_of_who_asks_for_it(path: str, body: dict, tmp_path: Path) -> None:
    async with priced(tmp_path, answers()) as (gateway, _):
        asked = await gateway.client.post(path, json=body, headers=COST)
        not_asked = await gateway.client.post(path, json=body)

    assert asked.json()["usage"]["estimated_cost_usd"] == pytest.approx(COST_USD)
    assert "estimated_cost_usd" not in not_asked.json()["usage"]


@pytest.mark.parametrize(
    ("path", "body", "usage"),
    [
        (
            "/v1/chat/completions",
            chat_request("hi", stream=True, stream_options={"include_usage": True}),
            lambda event: event.get("usage"),
        ),
        ("/v1/messages", messages_request(stream=True), lambda event: event.get("usage")),
        (
            "/v1/responses",
            {"model": "m", "input": "hi", "stream": True},
            lambda event: event.get("response", {}).get("usage"),
        ),
    ],
)
async def test_the_cost_is_in_the_last_usage_of_a_stream(
    path: str, body: dict, usage: Callable[[dict], Any], tmp_path: Path
) -> None:
    async with priced(tmp_path, streams(), show_cost=True) as (gateway, _):
        response = await gateway.client.post(path, json=body)

    usages = [found for event in events(response.text) if (found := usage(event)) is not None]
    assert usages[-1]["estimated_cost_usd"] == pytest.approx(COST_USD)


async def test_cached_tokens_have_their_own_price(tmp_path: Path) -> None:
    cached = ANSWER | {
        "usage": {
            "prompt_tokens": 1_000,
            "completion_tokens": 100,
            "total_tokens": 1_100,
            "prompt_tokens_details": {"cached_tokens": 800},
        }
    }
    async with priced(tmp_path, answers(cached)) as (gateway, _):
        response = await gateway.chat(chat_request("hi"), headers=COST)

    assert response.json()["usage"]["estimated_cost_usd"] == pytest.approx((200 * 2.5 + 800 * 1.25 + 100 * 10) / 1e6)


async def test_anthropics_input_tokens_are_those_that_no_cache_had(tmp_path: Path) -> None:
    native = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "A cat."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 900},
    }
    async with priced(tmp_path, answers(native), dialects='"messages"') as (gateway, _):
        response = await gateway.client.post("/v1/messages", json=messages_request(), headers=COST)

    assert response.json()["usage"]["estimated_cost_usd"] == pytest.approx((100 * 2.5 + 900 * 1.25 + 10 * 10) / 1e6)


async def test_a_model_without_prices_has_no_cost(tmp_path: Path) -> None:
    async with priced(tmp_path, answers(), model="") as (gateway, _):
        response = await gateway.chat(chat_request("hi"), headers=COST)

    assert response.status_code == 200
    assert "estimated_cost_usd" not in response.json()["usage"]


@pytest.mark.parametrize("open_stores", [sqlite_file, dynamodb], ids=["sqlite", "dynamodb"])
async def test_usage_is_shown_to_its_key_and_all_of_it_to_an_admin(open_stores: Any, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores, priced(tmp_path, answers(), stores=stores) as (gateway, _):
        other = await gateway.headers_of("others", scopes=frozenset({"chat"}))
        admin = await gateway.headers_of("admins", scopes=frozenset({"admin"}))
        for headers in ({}, {}, other):
            assert (await gateway.chat(chat_request("hi"), headers=headers)).status_code == 200

        own = (await gateway.client.get("/api/usage", headers=other)).json()
        all_keys = (await gateway.client.get("/api/usage", headers=admin, params={"by": "model"})).json()
        denied = await gateway.client.get("/api/usage", headers=other, params={"key": "key_of_another"})
        anonymous = await gateway.client.get("/api/usage", headers={"authorization": "", "x-free-tier": "true"})

    [row] = own["data"]
    assert (row["requests"], row["input_tokens"], row["output_tokens"], row["model"]) == (1, 10, 2, "m")
    assert row["estimated_cost_usd"] == pytest.approx(COST_USD)
    [total] = all_keys["data"]
    assert (total["requests"], total["input_tokens"]) == (3, 30)
    assert "key" not in total
    assert "day" not in total
    assert (denied.status_code, denied.json()["error"]["param"]) == (403, "key")
    assert anonymous.status_code in {401, 403}


@pytest.mark.parametrize(
    "query", [{"first": "2020-01-01"}, {"first": "soon"}, {"by": "caller"}, {"first": "2999-01-01"}]
)
async def test_a_query_that_cannot_be_answered_is_refused(query: dict, tmp_path: Path) -> None:
    async with running_gateway() as gateway:
        response = await gateway.client.get("/api/usage", params=query)

    assert response.status_code == 400
    assert response.json()["error"]["param"] in query


async def test_failures_use_nothing(tmp_path: Path) -> None:
    async with priced(tmp_path, hangs_up) as (gateway, _):
        headers = await gateway.headers_of("team", budgets=parse_budgets("tokens/day=10000"))
        assert (await gateway.chat(chat_request("hi", max_tokens=9_000), headers=headers)).status_code == 502
        assert (await gateway.chat(chat_request("hi", max_tokens=9_000), headers=headers)).status_code == 502
        usage = (await gateway.client.get("/api/usage", headers=headers)).json()

    assert usage["data"] == []


async def test_a_budget_of_tokens_admits_what_fits_and_gives_back_what_was_not_used(tmp_path: Path) -> None:
    async with priced(tmp_path, answers()) as (gateway, upstream):
        headers = await gateway.headers_of("team", budgets=parse_budgets("tokens/day=100 tokens/month=100000"))
        fits = await gateway.chat(chat_request("hi", max_tokens=80), headers=headers)
        again = await gateway.chat(chat_request("hi", max_tokens=80), headers=headers)
        too_much = await gateway.chat(chat_request("hi", max_tokens=80), headers=headers)
        unlimited = await gateway.chat(chat_request("hi"), headers=headers)

    assert [fits.status_code, again.status_code] == [200, 200]
    assert fits.headers["x-ratelimit-limit-tokens"] == "100"
    for refused in (too_much, unlimited):
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (429, "quota_exceeded")
        assert "100 tokens a day" in error["message"]
        assert int(refused.headers["retry-after"]) > 0
    assert len(upstream.received) == 2


async def test_one_budget_says_what_it_has_left(tmp_path: Path) -> None:
    async with priced(tmp_path, answers()) as (gateway, _):
        headers = await gateway.headers_of("team", budgets=parse_budgets("tokens/day=1000"))
        first = await gateway.chat(chat_request("hi", max_tokens=80), headers=headers)
        second = await gateway.chat(chat_request("hi", max_tokens=80), headers=headers)

    left = [int(each.headers["x-ratelimit-remaining-tokens"]) for each in (first, second)]
    assert left[0] - left[1] == 12  # the tokens of the first answer


async def test_a_budget_in_dollars_needs_a_price(tmp_path: Path) -> None:
    async with priced(tmp_path, answers(), model="") as (gateway, upstream):
        headers = await gateway.headers_of("team", budgets=(Budget("cost", "day", 1_000_000),))
        response = await gateway.chat(chat_request("hi"), headers=headers)

    assert (response.status_code, response.json()["error"]["param"]) == (403, "model")
    assert upstream.received == []


async def test_what_an_answer_overshoots_is_charged_to_the_next(tmp_path: Path) -> None:
    long = ANSWER | {"usage": {"prompt_tokens": 10, "completion_tokens": 5_000, "total_tokens": 5_010}}
    async with priced(tmp_path, answers(long)) as (gateway, _):
        headers = await gateway.headers_of("team", budgets=parse_budgets("cost/month=20000"))
        first = await gateway.chat(chat_request("hi", max_tokens=10), headers=headers)
        second = await gateway.chat(chat_request("hi", max_tokens=10), headers=headers)

    assert [first.status_code, second.status_code] == [200, 429]
    assert "0.020000 USD a month" in second.json()["error"]["message"]


@pytest.mark.parametrize("open_stores", [sqlite_file, dynamodb], ids=["sqlite", "dynamodb"])
async def test_200_callers_at_once_spend_no_more_than_the_budget(open_stores: Any, tmp_path: Path) -> None:
    async with (
        open_stores(tmp_path) as stores,
        priced(tmp_path, answers(), stores=stores, max_connections=1_000) as (gateway, upstream),
    ):
        headers = await gateway.headers_of("team", budgets=parse_budgets("tokens/day=240"))
        asked = chat_request("hi", max_tokens=11)
        responses = await asyncio.gather(
            *[gateway.client.post("/v1/chat/completions", json=asked, headers=headers, timeout=300) for _ in range(200)]
        )
        usage = (await gateway.client.get("/api/usage", headers=headers)).json()

    served = sum(response.status_code == 200 for response in responses)
    assert {response.status_code for response in responses} == {200, 429}
    assert served == len(upstream.received) == usage["data"][0]["requests"]
    assert 12 * served <= 240
    assert served == 20  # each reserves 12 tokens, and uses 12


async def test_a_stream_that_is_left_is_charged_by_what_has_passed(tmp_path: Path) -> None:
    pieces = (*(chunk({"content": "word " * 100}) for _ in range(20)),)
    async with priced(tmp_path, streams(*pieces, then="silence")) as (gateway, _):
        headers = await gateway.headers_of("team", budgets=parse_budgets("tokens/day=100000"))
        async with gateway.client.stream(
            "POST", "/v1/chat/completions", json=chat_request("hi", stream=True), headers=headers
        ) as response:
            received = 0
            async for piece in response.aiter_bytes():
                received += len(piece)
                if received > 9_000:
                    break
        async with asyncio.timeout(5):
            while not (rows := (await gateway.client.get("/api/usage", headers=headers)).json()["data"]):
                await asyncio.sleep(0.02)

    assert rows[0]["output_tokens"] > 100
    assert rows[0]["requests"] == 1


async def test_a_stream_without_usage_is_passed_on_as_it_is(tmp_path: Path) -> None:
    pieces = [piece for piece in CHUNKS if b'"usage"' not in piece]
    async with priced(tmp_path, streams(*pieces), show_cost=True) as (gateway, _):
        response = await gateway.chat(chat_request("hi", stream=True))

    assert response.content == b"".join(pieces)


def test_a_jwt_has_a_subject_that_is_no_key() -> None:
    assert not JWT_SUBJECT.startswith("key_")
