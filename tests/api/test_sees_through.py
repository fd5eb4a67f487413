"""Models that cannot see: their images are described by another one first, in every dialect, streamed and in groups."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from obscura.auth.base import KeyScope
from obscura.pipeline.describe import INSTRUCTION
from obscura.usage.base import Budget
from tests.support.fake_upstream import ANSWER, CHUNKS, answers, hangs_up, in_turn, stays_silent, streams, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire, loopback_server
from tests.support.pdfs import a_pdf
from tests.support.policies import save
from tests.support.upstream_groups import toml_table
from tests.unit.imaging.images import a_plain

RED, BLUE = (data_url(a_plain(28, side, "PNG")) for side in (28, 56))
WORDS = 'A sign that says "no entry".'
DESCRIBED_BY = "x-obscura-described-by"
PRICES = {"input_per_million": 2.0, "output_per_million": 10.0}
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def describes(words: str = WORDS) -> Respond:
    message = {"role": "assistant", "content": words}
    return answers({**ANSWER, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE})


@dataclass
class Served:
    gateway: Gateway
    eye: LoopbackServer
    blind: LoopbackServer

    async def ask(self, *urls: str, **more: Any) -> Any:
        return await self.gateway.chat(chat_request(text("What is it?"), *map(image_part, urls)), **more)

    def shown(self) -> str:
        """What the model that answers got last."""
        return self.blind.received[-1].body.decode()


@asynccontextmanager
async def served(
    folder: Path,
    eye: Respond | None = None,
    blind: Respond | None = None,
    upstream: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Served]:
    async with AsyncExitStack() as stack:
        seeing = await stack.enter_async_context(loopback_server(eye or describes()))
        answering = await stack.enter_async_context(loopback_server(blind or answers()))
        tables = [
            toml_table("upstreams", name="s", url=seeing.v1, **(upstream or {})),
            toml_table("upstreams", name="b", url=answering.v1),
            toml_table("upstreams", name="native", url=answering.v1, dialects=["messages", "responses"]),
            toml_table("models", id="m", upstream="b", input=["text"], sees_through="eye", **PRICES),
            toml_table("models", id="native", upstream="native", input=["text"], sees_through="eye"),
            toml_table("models", id="group", upstreams=["s", "b"], input=["text"], sees_through="group-eye"),
            toml_table("models", id="eye", upstream="s", **PRICES),
            toml_table("models", id="group-eye", upstreams=["b", "s"]),
        ]
        path = folder / "models.toml"
        path.write_text("\n".join(tables))
        yield Served(await stack.enter_async_context(running_gateway(models=path, **settings)), seeing, answering)


SOURCE = {"type": "base64", "media_type": "image/png", "data": RED.partition(",")[2]}
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": chat_request(text("What is it?"), image_part(RED)),
    "/v1/messages": {
        "max_tokens": 50,
        "messages": [{"role": "user", "content": [{"type": "image", "source": SOURCE}, text("What is it?")]}],
    },
    "/v1/responses": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": RED}]}]},
}


@pytest.mark.parametrize("model", ["m", "native"])
@pytest.mark.parametrize("path", [*REQUESTS, *(f"/policy{path}" for path in REQUESTS)])
async def test_the_description_stands_where_the_image_stood(path: str, model: str, tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        body = {**REQUESTS[path.removeprefix("/policy")], "model": model}
        response = await s.gateway.client.post(path, json=body)

        assert response.status_code == 200, response.text
        assert response.headers[DESCRIBED_BY] == "eye"
        [asked] = s.eye.received
        [message] = asked.json()["messages"]
        assert message["content"][0] == text(INSTRUCTION)
        assert message["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
        assert asked.json()["model"] == "eye"
        assert asked.path == "/v1/chat/completions"
        assert json.dumps(f"[image 1 of 1, described by the gateway]\n{WORDS}\n[end of image 1]")[1:-1] in s.shown()
        assert "base64" not in s.shown()


async def test_the_usage_of_an_answer_counts_both_and_so_does_the_day(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        answer = (await s.ask(RED, headers={"x-obscura-cost": "true"})).json()["usage"]
        admin = await s.gateway.headers_of("ops", scopes=frozenset({KeyScope.ADMIN}))
        rows = (await s.gateway.client.get("/api/usage", headers=admin)).json()["data"]

        assert (answer["prompt_tokens"], answer["completion_tokens"], answer["total_tokens"]) == (110, 22, 132)
        assert answer["estimated_cost_usd"] == pytest.approx(110 * 2e-6 + 22 * 10e-6)
        counts = {
            row["model"]: (row["requests"], row["images"], row["input_tokens"], row["output_tokens"]) for row in rows
        }
        assert counts == {"m": (1, 1, 10, 2), "eye": (0, 0, 100, 20)}


@pytest.mark.parametrize("model", ["m", "native"])
async def test_a_stream_counts_both(model: str, tmp_path: Path) -> None:
    message = {"id": "1", "usage": {"input_tokens": 10, "output_tokens": 1}}
    events = [
        {"type": "message_start", "message": message},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    native = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    async with served(tmp_path, blind=streams(*(CHUNKS if model == "m" else native))) as s:
        body = {**REQUESTS["/v1/messages"], "model": model, "stream": True}
        response = await s.gateway.client.post("/v1/messages", json=body)

        assert response.headers[DESCRIBED_BY] == "eye"
        usages = [json.loads(line[6:]) for line in response.text.splitlines() if '"usage"' in line]
        last = next(event["usage"] for event in usages if event["type"] == "message_delta")
        assert last["output_tokens"] == 22
        start = next(event["message"]["usage"] for event in usages if event["type"] == "message_start")
        assert max(start["input_tokens"], last.get("input_tokens", 0)) == 110


async def test_an_image_is_described_once_in_a_project_and_again_in_another(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        first, again = await s.ask(RED, RED), await s.ask(RED, RED)
        assert len(s.eye.received) == 1
        assert again.headers[DESCRIBED_BY] == "eye"
        assert again.json()["usage"]["prompt_tokens"] == 10
        assert first.json()["usage"]["prompt_tokens"] == 110
        assert s.shown().count("no entry") == 2

        await s.ask(RED, headers=await s.gateway.headers_of("another"))
        assert len(s.eye.received) == 2
        await s.ask(RED, BLUE)
        assert len(s.eye.received) == 3


async def test_zero_retention_and_the_free_tier_neither_read_nor_make_descriptions(tmp_path: Path) -> None:
    async with served(tmp_path, free_tier_requests=9) as s:
        await s.ask(RED)
        for _ in range(2):
            response = await s.ask(RED, headers={"x-zero-retention": "true"})
            assert response.headers["x-zero-retention"] == "true"
        assert len(s.eye.received) == 3
        assert s.eye.received[-1].json()["store"] is False
        del s.gateway.client.headers["authorization"]
        for _ in range(2):
            assert (await s.ask(RED, headers={"x-free-tier": "true"})).status_code == 200
        assert len(s.eye.received) == 5


async def test_groups_fall_back_on_both_sides(tmp_path: Path) -> None:
    async def fails(request: Received, wire: Wire) -> None:
        await wire.answer(500, b"{}")

    async with served(tmp_path, eye=in_turn(describes(), fails), blind=in_turn(fails, answers())) as s:
        body = {**chat_request(text("What?"), image_part(RED)), "model": "group"}
        response = await s.gateway.chat(body)
        # The image: b fails, s describes. The answer: s fails, b answers.
        assert response.status_code == 200, response.text
        assert response.headers[DESCRIBED_BY] == "group-eye"
        assert response.headers["x-obscura-upstream"] == "b"
        assert "no entry" in s.shown()


@pytest.mark.parametrize(
    ("eye", "status", "code"),
    [
        (answers({"error": {"message": "no such model"}}, 404), 502, "upstream_error"),
        (answers({"error": {"message": "too small"}}, 400), 400, "invalid_request"),
        (answers({}, 429, retry_after="7"), 429, "rate_limit_exceeded"),
        (answers({}, 500), 502, "upstream_error"),
        (hangs_up, 502, "upstream_error"),
        (stays_silent, 504, "upstream_timeout"),
        (describes(""), 502, "upstream_error"),
        (answers(b"nonsense"), 502, "upstream_error"),
    ],
)
async def test_a_failed_description_says_whose_failure_it_is(
    eye: Respond, status: int, code: str, tmp_path: Path
) -> None:
    async with served(tmp_path, eye, upstream={"timeout_s": 0.3}) as s:
        response = await s.ask(RED)

        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (
            status,
            code,
            "messages[0].content[1].image_url.url",
        )
        assert "described by the model 'eye'" in error["message"]
        assert response.headers[DESCRIBED_BY] == "eye"
        assert not s.blind.received
        if status == 429:
            assert response.headers["retry-after"] == "7"


async def test_the_image_is_moderated_before_it_is_described_and_the_description_after(tmp_path: Path) -> None:
    async def moderate(request: Received, wire: Wire) -> None:
        content = json.dumps(request.json()["input"])
        flagged = {"violence": 0.9} if "no entry" in content else None
        await answers(verdict(flagged))(request, wire)

    async def refuse(request: Received, wire: Wire) -> None:
        await answers(verdict({"sexual": 0.9} if isinstance(request.json()["input"], list) else None))(request, wire)

    async with loopback_server(refuse) as moderation:
        keys: dict[str, Any] = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "sk-m"}
        async with served(tmp_path, **keys) as s:
            assert (await s.ask(RED)).json()["error"]["category"] == "sexual"
            assert not s.eye.received

            moderation.respond = moderate
            error = (await s.ask(RED)).json()["error"]
            assert error["code"] == "moderation_blocked"
            assert (error["category"], error["param"]) == ("violence", "messages[0].content[1].image_url.url")
            assert "description" in error["message"]
            assert not s.blind.received
            await s.ask(RED)
            assert len(s.eye.received) == 2  # what was blocked is not kept


async def test_budgets_reserve_for_both_and_settle_what_both_used(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        tight = await s.gateway.headers_of("a", budgets=(Budget("tokens", "day", 5_000),))
        refused = await s.ask(RED, headers=tight)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
        assert not s.eye.received

        wide = await s.gateway.headers_of("a", budgets=(Budget("tokens", "day", 20_000),))
        assert (await s.ask(RED, headers=wide)).status_code == 200
        left = (await s.ask(RED, headers=wide)).headers["x-ratelimit-remaining-tokens"]
        # 132 are used, and the second request reserves its text, the known description and 4,096 for its answer.
        assert 20_000 - 132 - 4_096 - 100 < int(left) < 20_000 - 132 - 4_096


async def test_a_policy_redacts_descriptions_too(tmp_path: Path) -> None:
    async with served(tmp_path, describes("A card with ada@example.com on it.")) as s:
        await save(s.gateway, rules={"redact_pii": True})
        body = {**REQUESTS["/v1/chat/completions"], "policy_id": "p1"}
        response = await s.gateway.client.post("/policy/v1/chat/completions", json=body)

        assert response.status_code == 200, response.text
        assert "A card with" in s.shown()
        assert "ada@example.com" not in s.shown()


async def test_pages_of_a_document_and_images_in_a_tool_result_are_described_in_order(tmp_path: Path) -> None:
    pages = {
        "type": "base64",
        "media_type": "application/pdf",
        "data": base64.b64encode(a_pdf(["one", "two"])).decode(),
    }
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": SOURCE}]}
    body = {
        "model": "m",
        "max_tokens": 50,
        "messages": [
            {"role": "user", "content": [{"type": "document", "source": pages}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
            {"role": "user", "content": [result]},
        ],
    }
    async with served(tmp_path) as s:
        response = await s.gateway.client.post("/v1/messages", json=body)

        assert response.status_code == 200, response.text
        assert len(s.eye.received) == 3
        assert len(response.headers["x-image-tokens"].split(",")) == 3
        shown = s.shown()
        places = [shown.index(f"[image {number} of 3, described") for number in (1, 2, 3)]
        assert places == sorted(places)
        assert "base64" not in shown


async def test_a_screenshot_that_no_text_can_replace_is_refused(tmp_path: Path) -> None:
    output = {"type": "computer_screenshot", "image_url": RED}
    body = {"model": "m", "input": [{"type": "computer_call_output", "call_id": "c", "output": output}]}
    async with served(tmp_path) as s:
        response = await s.gateway.client.post("/v1/responses", json=body)

        assert response.status_code == 400
        assert response.json()["error"]["code"] == "unsupported_operation"
        assert response.json()["error"]["param"] == "input[0].output.image_url"
        assert not s.eye.received


async def test_text_alone_asks_for_no_description(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        response = await s.gateway.chat(chat_request("hello"))
        assert DESCRIBED_BY not in response.headers
        assert not s.eye.received
        models = (await s.gateway.client.get("/api/models?modality=image")).json()["data"]
        assert {"m", "eye"} <= {model["id"] for model in models}
        counted = await s.gateway.client.post(
            "/v1/messages/count_tokens", json={**REQUESTS["/v1/messages"], "model": "native"}
        )
        assert counted.headers["x-token-estimate"] == "true"
        assert len(s.blind.received) == 1


async def test_a_caller_who_leaves_ends_the_description(tmp_path: Path) -> None:
    async with served(tmp_path, stays_silent) as s:
        asking = asyncio.create_task(s.ask(RED))
        await s.eye.wait_for_requests(1)
        asking.cancel()
        async with asyncio.timeout(5):
            await s.eye.received[0].caller_left.wait()
