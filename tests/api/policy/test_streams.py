"""Streams under a policy, in each dialect: the decision in every frame, values restored, terms stopped, a valid end."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.fake_upstream import CHUNKS, chunk, streams
from tests.support.gateway import Gateway, chat_request
from tests.support.loopback_server import LoopbackServer, Received, Wire
from tests.support.message_stream_grammar import parse_stream
from tests.support.policies import save
from tests.support.response_stream_grammar import checked

PATHS = ("/policy/v1/chat/completions", "/policy/v1/messages", "/policy/v1/responses")
BODIES: dict[str, dict[str, Any]] = {
    PATHS[0]: chat_request("hi"),
    PATHS[1]: {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    PATHS[2]: {"model": "m", "input": "hi"},
}


async def streamed(gateway: Gateway, path: str, **fields: Any) -> tuple[list[dict[str, Any]], str]:
    """The frames of a streamed answer and all of it as text."""
    response = await gateway.client.post(path, json=BODIES[path] | {"stream": True, "policy_id": "p1"} | fields)
    assert response.status_code == 200, response.text
    if path == PATHS[1]:
        parse_stream(response.content)
    elif path == PATHS[2]:
        checked(response.content)
    lines = response.text.splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith("data: {")], response.text


def text_of(frames: list[dict[str, Any]]) -> str:
    """The text of an answer in the frames of any dialect."""
    parts: list[str] = []
    for frame in frames:
        parts += [choice["delta"].get("content") or "" for choice in frame.get("choices", ())]
        if frame.get("type") == "content_block_delta":
            parts.append(frame["delta"].get("text", ""))
        if frame.get("type") == "response.output_text.delta":
            parts.append(frame["delta"])
    return "".join(parts)


def saying(text: str, size: int = 5) -> tuple[bytes, ...]:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return (CHUNKS[0], *(chunk({"content": piece}) for piece in pieces), *CHUNKS[-3:])


@pytest.mark.parametrize("path", PATHS)
async def test_every_frame_has_the_decision_and_done_is_bare(
    gateway: Gateway, upstream: LoopbackServer, path: str
) -> None:
    upstream.respond = streams(*CHUNKS[:2], chunk({"content": "x"}, policy={"decision": "forged"}), *CHUNKS[2:])
    await save(gateway)

    frames, text = await streamed(gateway, path)

    assert [frame["policy"]["decision"] for frame in frames] == ["allow"] * len(frames)
    assert text_of(frames) == "A xcat."
    assert "forged" not in text
    assert text.rstrip().endswith("data: [DONE]") == ("messages" not in path)


@pytest.mark.parametrize("size", [1, 7, 500])
@pytest.mark.parametrize("path", PATHS)
async def test_values_come_back_and_the_models_own_are_masked(
    gateway: Gateway, upstream: LoopbackServer, path: str, size: int
) -> None:
    upstream.respond = streams(*saying("To {EMAIL_1} and bob@example.com, who wrote. " + "So it goes. " * 60, size))
    await save(gateway, rules={"redact_pii": True})
    asked = json.loads(json.dumps(BODIES[path]).replace('"hi"', '"I am ann@example.com"'))

    frames, _ = await streamed(gateway, path, **asked)

    assert text_of(frames) == "To ann@example.com and [EMAIL], who wrote. " + "So it goes. " * 60
    assert b"ann@example.com" not in upstream.received[0].body


@pytest.mark.parametrize("path", PATHS)
async def test_a_term_in_the_answer_ends_the_stream_and_cancels_the_upstream(
    gateway: Gateway, upstream: LoopbackServer, path: str
) -> None:
    left = asyncio.Event()

    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        for piece in saying("Well. " * 60 + "the plan is a wire transfer. " + "More. " * 100)[:-3]:
            await wire.chunk(piece)
        await request.caller_left.wait()
        left.set()

    upstream.respond = respond
    await save(gateway, rules={"denylist": ["wire transfer"]})

    frames, text = await streamed(gateway, path)

    said = text_of(frames)
    assert said.endswith("the plan is a ")
    assert "wire" not in text.replace('wire transfer"]', "")
    assert frames[-1]["policy"]["decision"] == "refuse"
    if path == PATHS[0]:
        assert frames[-1]["choices"][0]["finish_reason"] == "content_filter"
        assert text.rstrip().endswith("data: [DONE]")
    elif path == PATHS[1]:
        assert [frame["type"] for frame in frames[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
        assert frames[-2]["delta"]["stop_reason"] == "refusal"
    else:
        assert frames[-1]["type"] == "response.incomplete"
        assert frames[-1]["response"]["incomplete_details"] == {"reason": "content_filter"}
        assert frames[-1]["response"]["output"][0]["content"][0]["text"] == said
        assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    async with asyncio.timeout(5):
        await left.wait()


async def test_a_finishing_chunk_with_text_comes_after_what_was_held_back(
    gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = streams(chunk({"content": "A "}), chunk({"content": "cat."}, "stop"), CHUNKS[-1])
    await save(gateway, rules={"denylist": ["zebra"]})

    frames, _ = await streamed(gateway, PATHS[0])

    assert text_of(frames) == "A cat."
    assert frames[-1]["choices"][0]["finish_reason"] == "stop"


async def test_arguments_of_tools_stay_json_when_values_come_back(gateway: Gateway, upstream: LoopbackServer) -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"to": "{TE'}}
    rest = {"index": 0, "function": {"arguments": 'RM_1}"}'}}
    upstream.respond = streams(chunk({"tool_calls": [call]}), chunk({"tool_calls": [rest]}), *CHUNKS[-3:])
    await save(gateway, rules={"redact_terms": ['a "b']})

    frames, _ = await streamed(gateway, PATHS[0], messages=[{"role": "user", "content": 'say a "b now'}])

    calls = [one for frame in frames for choice in frame["choices"] for one in choice["delta"].get("tool_calls", ())]
    assert json.loads("".join(one["function"]["arguments"] for one in calls)) == {"to": 'a "b'}


async def test_an_upstream_that_breaks_off_ends_with_an_error_and_the_decision(
    gateway: Gateway, upstream: LoopbackServer
) -> None:
    upstream.respond = streams(*CHUNKS[:2], then="breaks")
    await save(gateway)

    frames, _ = await streamed(gateway, PATHS[0])

    assert frames[-1]["error"]["code"] == "upstream_error"
    assert frames[-1]["policy"]["decision"] == "allow"


async def test_tokens_of_a_stream_are_settled(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = streams()
    await save(gateway, org_controls={"project_quota": {"tokens": 12}})

    await streamed(gateway, PATHS[0])
    refused = await gateway.client.post(PATHS[0], json=chat_request("hi", policy_id="p1"))

    assert refused.status_code == 429
