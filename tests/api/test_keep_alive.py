"""Comments while an upstream that has begun to respond is silent: on every dialect, and never within an event."""

import asyncio
from typing import Any

import pytest

from tests.support.fake_upstream import CHUNKS
from tests.support.gateway import chat_request, running_gateway
from tests.support.loopback_server import Received, Respond, Wire, loopback_server
from tests.support.policies import save

COMMENT = ": keep-alive\n\n"
INTERVAL_S, SILENCE_S = 0.03, 0.1

MESSAGES = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
MESSAGE_EVENTS = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":1}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)


def pausing(*pieces: bytes | None) -> Respond:
    """Stream these pieces, silent for a while at each None."""

    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        for piece in pieces:
            if piece is None:
                await asyncio.sleep(SILENCE_S)
            else:
                await wire.chunk(piece)
        await wire.chunk(b"")

    return respond


@pytest.mark.parametrize(
    ("path", "body", "dialects", "pieces"),
    [
        ("/v1/chat/completions", chat_request("hi", stream=True), "chat", CHUNKS),
        ("/v1/messages", MESSAGES, "chat", CHUNKS),
        ("/v1/messages", MESSAGES, "chat,messages", MESSAGE_EVENTS),
        ("/v1/responses", {"model": "m", "input": "hi", "stream": True}, "chat", CHUNKS),
    ],
    ids=["chat", "messages over chat", "messages", "responses over chat"],
)
async def test_a_silent_upstream_is_bridged_by_comments_between_events(
    path: str, body: dict, dialects: str, pieces: tuple[bytes, ...]
) -> None:
    # After the head, within an event and between two events.
    respond = pausing(None, pieces[0], pieces[1][:12], None, pieces[1][12:], None, *pieces[2:])
    async with loopback_server(respond) as upstream:
        settings: dict[str, Any] = {"upstream_url": upstream.v1, "upstream_dialects": dialects}
        async with running_gateway(keep_alive_s=INTERVAL_S, **settings) as gateway:
            response = await gateway.client.post(path, json=body)

    parts = response.text.split(COMMENT)
    assert response.status_code == 200
    assert parts[0] == ""  # the first silence came after the head
    assert len(parts) >= 4
    assert [part for part in parts if part and not part.endswith("\n\n")] == []
    assert ": keep-alive" not in "".join(parts)


async def test_a_response_under_a_policy_gets_them_too() -> None:
    async with loopback_server(pausing(None, CHUNKS[0], None, *CHUNKS[1:])) as upstream:
        async with running_gateway(upstream_url=upstream.v1, keep_alive_s=INTERVAL_S) as gateway:
            await save(gateway, rules={"denylist": ["never"]})
            response = await gateway.client.post(
                "/policy/chat/completions", json=chat_request("hi", stream=True, policy_id="p1")
            )

    assert response.text.startswith(COMMENT)
    assert response.text.count(COMMENT) >= 2
    assert response.text.endswith("data: [DONE]\n\n")


async def test_nothing_is_sent_before_the_upstreams_head() -> None:
    async def slow_refusal(request: Received, wire: Wire) -> None:
        await asyncio.sleep(SILENCE_S)
        await wire.answer(503, b"{}")

    async with loopback_server(slow_refusal) as upstream:
        async with running_gateway(upstream_url=upstream.v1, keep_alive_s=0.01) as gateway:
            response = await gateway.chat(chat_request("hi", stream=True))

    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_error")
    assert "keep-alive" not in response.text


async def test_a_stream_without_silence_has_no_comment() -> None:
    async with loopback_server(pausing(*CHUNKS)) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway:
            response = await gateway.chat(chat_request("hi", stream=True))

    assert response.content == b"".join(CHUNKS)


@pytest.mark.parametrize(
    ("settings", "silent_for"),
    [({"upstream_timeout_s": 0.05}, "0.05 s"), ({"upstream_idle_s": 0.05}, "0.05 s")],
    ids=["first byte", "idle"],
)
async def test_the_upstreams_patience_is_a_setting(settings: dict, silent_for: str) -> None:
    waits_for_idle = "upstream_idle_s" in settings
    pieces = (CHUNKS[0], *[None] * 20) if waits_for_idle else (*[None] * 20,)
    async with loopback_server(pausing(*pieces)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **settings) as gateway:
            response = await gateway.chat(chat_request("hi", stream=True))

    assert f"sent nothing for {silent_for}" in response.text
    assert "upstream_timeout" in response.text
