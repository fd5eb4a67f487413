"""The answer under a policy: moderated and checked, whole and in windows of a stream, with a valid end and an event."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.api.policy.test_streams import BODIES, PATHS, saying, streamed, text_of
from tests.support.fake_upstream import ANSWER, CHUNKS, answers, streams, verdict
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server
from tests.support.policies import save

BAD = "something cruel"
LONG = "Well, so it goes. " * 60
FLAGGED: dict[str, Any] = {"rules": {"flagged_categories": ["violence"]}}


async def judge(request: Received, wire: Wire) -> None:
    """Flag what says BAD, as moderation or as a service."""
    if "moderations" in request.path:
        bad = BAD in str(request.json()["input"])
        await answers(verdict({"violence": 0.9}) if bad else verdict(violence=0.1))(request, wire)
        return
    body = request.json()
    bad = body["input_type"] == "response" and any(BAD in one for one in body["texts"])
    await answers({"action": "BLOCKED"} if bad else {"action": "NONE"})(request, wire)


@asynccontextmanager
async def judged() -> AsyncIterator[tuple[Gateway, LoopbackServer, LoopbackServer]]:
    async with loopback_server(judge) as judging, loopback_server(answers()) as upstream:
        settings: dict[str, Any] = {"moderation_url": judging.v1, "moderation_key": "sk", "moderation": "openai"}
        async with running_gateway(
            upstream_url=upstream.v1, policy_check_allow=(judging.origin,), **settings
        ) as gateway:
            yield gateway, judging, upstream


def policies(judging: LoopbackServer, kind: str) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "categories": FLAGGED,
        "thresholds": {"rules": {"thresholds": [{"category": "violence", "score": 0.5, "direction": "output"}]}},
        "checks": {"checks": [{"name": "guard", "url": judging.origin, "direction": "output"}]},
    }
    return kinds[kind]


RULES = {"categories": "flagged_categories", "thresholds": "thresholds", "checks": "checks"}


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("path", PATHS)
async def test_a_streamed_answer_ends_before_what_is_found_in_it(path: str, kind: str) -> None:
    async with judged() as (gateway, judging, upstream):
        left = asyncio.Event()

        async def respond(request: Received, wire: Wire) -> None:
            await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
            for piece in saying(LONG + BAD + LONG)[:-3]:
                await wire.chunk(piece)
            await request.caller_left.wait()
            left.set()

        upstream.respond = respond
        await save(gateway, **policies(judging, kind))

        frames, text = await streamed(gateway, path)

        assert LONG.startswith(text_of(frames))
        assert text_of(frames)
        assert "cruel" not in text
        assert (frames[0]["policy"]["decision"], frames[-1]["policy"]["decision"]) == ("allow", "refuse")
        assert frames[-1]["policy"]["rule"] == f"policy.{RULES[kind]}"
        async with asyncio.timeout(5):
            await left.wait()


@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_cut_in_its_first_window_is_still_a_valid_stream(path: str) -> None:
    async with judged() as (gateway, _, upstream):
        upstream.respond = streams(b"".join(saying(BAD)))
        await save(gateway, **FLAGGED)

        frames, _ = await streamed(gateway, path)  # which parses the stream by its grammar

        assert text_of(frames) == ""
        assert frames[-1]["policy"]["decision"] == "refuse"


@pytest.mark.parametrize("path", PATHS)
async def test_a_clean_answer_arrives_whole_and_each_part_of_it_is_reviewed(path: str) -> None:
    async with judged() as (gateway, judging, upstream):
        upstream.respond = streams(*saying(LONG))
        await save(gateway, **FLAGGED)

        frames, _ = await streamed(gateway, path)

        assert text_of(frames) == LONG
        assert frames[-1]["policy"]["decision"] == "allow"
        reviewed = [str(request.json()["input"]) for request in judging.received]
        assert sum(map(len, reviewed)) >= len(LONG)


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize(
    ("action", "status", "decision"), [("block", 400, "refuse"), ("rewrite", 200, "rewrite"), ("flag", 200, "flag")]
)
@pytest.mark.parametrize("path", PATHS)
async def test_a_whole_answer_is_refused_replaced_or_flagged(
    path: str, action: str, status: int, decision: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="obscura")
    async with judged() as (gateway, judging, upstream):
        upstream.respond = answers(answer_of(BAD))
        policy = policies(judging, kind)
        rules = policy.get("rules", {}) | {"actions": {RULES[kind]: action}, "response_pattern": "INSTEAD"}
        await save(gateway, **policy | {"rules": rules})

        response = await gateway.client.post(path, json=BODIES[path] | {"policy_id": "p1"})

        assert response.status_code == status, response.text
        assert response.json()["policy"]["decision"] == response.headers["x-policy-decision"] == decision
        assert (BAD in response.text) is (action == "flag")
        assert ("INSTEAD" in response.text) is (action == "rewrite")
    events = [
        json.loads(bytes(vars(one)["fields"]["event"])) for one in caplog.records if one.message == "policy_event"
    ]
    assert [(event["direction"], event["decision"]) for event in events] == [("input", "allow"), ("output", decision)]


@pytest.mark.parametrize("action", ["rewrite", "summarize"])
async def test_a_term_in_a_whole_answer_replaces_it(gateway: Gateway, upstream: LoopbackServer, action: str) -> None:
    upstream.respond = answers(answer_of(BAD))
    await save(gateway, rules={"denylist": [BAD], "enforcement_action": action, "response_pattern": "INSTEAD"})

    response = await gateway.client.post(PATHS[0], json=BODIES[PATHS[0]] | {"policy_id": "p1"})

    assert (response.status_code, response.json()["choices"][0]["message"]["content"]) == (200, "INSTEAD")


async def test_an_answer_that_cannot_be_moderated_is_not_passed_on() -> None:
    async with judged() as (gateway, judging, upstream):
        await save(gateway, **FLAGGED)
        upstream.respond = streams(*saying(LONG), CHUNKS[-1])

        async def fails_on_answers(request: Received, wire: Wire) -> None:
            await (answers({}, 500) if "goes" in str(request.json()) else judge)(request, wire)

        judging.respond = fails_on_answers
        frames, _ = await streamed(gateway, PATHS[0])

        assert text_of(frames) == ""
        assert frames[-1]["error"]["code"] == "moderation_unavailable"


def answer_of(text: str) -> dict[str, Any]:
    return ANSWER | {"choices": [ANSWER["choices"][0] | {"message": {"role": "assistant", "content": text}}]}
