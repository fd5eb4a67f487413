"""On Lambda, events are sent after the last byte, for a bounded time."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from obscura.aws.flush_events import FlushEventsMiddleware
from obscura.policy_events.open import PolicyEvents, running
from obscura.policy_events.sender import Sender
from tests.support.policy_events import HangingSink, ScriptedSink, an_event


async def serve(events: PolicyEvents, sent: list[Any], fails: bool = False) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.put(an_event())
        if fails:
            raise RuntimeError
        await send({"type": "http.response.body", "body": b"last byte", "more_body": False})

    async def send(message: Any) -> None:
        sent.append(message["body"])

    async def receive() -> Any:
        return {"type": "http.request"}

    await FlushEventsMiddleware(app, lambda: events)({"type": "http"}, receive, send)


async def test_an_event_is_sent_after_the_last_byte_and_before_the_invocation_ends() -> None:
    happened: list[Any] = []
    sink = ScriptedSink()
    async with running([Sender(sink)]) as events:
        await serve(events, happened)

        assert happened == [b"last byte"]
        assert sink.batches == [[1]]


async def test_an_event_of_a_request_that_fails_is_sent_too() -> None:
    sink = ScriptedSink()
    async with running([Sender(sink)]) as events:
        with pytest.raises(RuntimeError):
            await serve(events, [], fails=True)

        assert sink.batches == [[1]]


async def test_a_sink_that_hangs_costs_the_invocation_500_ms_after_the_last_byte() -> None:
    sender = Sender(HangingSink())
    loop, sent = asyncio.get_running_loop(), list[Any]()
    async with running([sender], close_timeout_s=0.0) as events:
        began_s = loop.time()
        await serve(events, sent)

        assert 0.4 < loop.time() - began_s < 2.0
        assert sent == [b"last byte"]
        assert sender.buffered == 1
