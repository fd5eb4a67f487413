"""Sinks that misbehave: they hang, break off, send without end. No request waits, nothing they say is logged."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from obscura.httpclient.transport import FastTransport
from obscura.policy.engine import CompiledPolicy
from obscura.policy.events import event_of, features_of
from obscura.policy.facts import ImageFacts, ModerationResult, RequestFacts
from obscura.policy.parse import parse_document
from obscura.policy.render import Shown
from obscura.policy.rollout import Held, Mode, Plan, outcome
from obscura.policy_events.http import MAX_ANSWER_BYTES, Answer, NoAnswer, Poster
from obscura.policy_events.open import running, sinks_of
from obscura.policy_events.sender import Backoff, Sender
from obscura.policy_events.splunk import SplunkSink
from obscura.settings import Settings
from tests.support.loopback_server import Received, Wire, loopback_server
from tests.support.policy_events import FixedClock, an_event

CANARY = "canary-said-by-the-sink"
SECRETS = {
    "POLICY_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "POLICY_SPLUNK_TOKEN": "canary-splunk-token",
    "POLICY_DATADOG_KEY": "canary-datadog-key", "POLICY_OTLP_HEADERS": "api-key=canary-otlp-key",
}  # fmt: skip


async def post(respond: Callable, timeout_s: float = 5.0) -> Answer:
    transport = FastTransport()
    async with loopback_server(respond) as server:
        try:
            return await Poster(transport, f"{server.origin}/{CANARY}", timeout_s).post(b"{}")
        finally:
            await transport.aclose()


async def hang(_: Received, __: Wire) -> None:
    await asyncio.Event().wait()


async def hang_in_the_body(_: Received, wire: Wire) -> None:
    await wire.head(200, content_length="100")
    await asyncio.Event().wait()


async def break_off(_: Received, wire: Wire) -> None:
    wire.drop()


async def talk_no_http(_: Received, wire: Wire) -> None:
    await wire.write(b"220 " + CANARY.encode() + b" ESMTP\r\n")


async def send_no_gzip(_: Received, wire: Wire) -> None:
    await wire.answer(200, b"no gzip", content_encoding="gzip")


@pytest.mark.parametrize("respond", [hang, hang_in_the_body, break_off, talk_no_http, send_no_gzip])
async def test_a_sink_without_an_answer_is_left_within_its_time(respond: Callable) -> None:
    with pytest.raises(NoAnswer) as raised:
        await post(respond, timeout_s=0.05 if respond in {hang, hang_in_the_body} else 5.0)

    assert CANARY not in str(raised.value)


async def test_a_connection_that_the_sink_closed_is_replaced_once() -> None:
    breaks = [True, False]

    async def respond(_: Received, wire: Wire) -> None:
        if breaks.pop(0):
            wire.drop()
        else:
            await wire.answer(200, b"")

    assert (await post(respond)).status == 200
    assert breaks == []


async def test_an_answer_without_end_is_read_to_its_bound() -> None:
    sent_bytes = 0

    async def send_without_end(_: Received, wire: Wire) -> None:
        nonlocal sent_bytes
        await wire.head(200, transfer_encoding="chunked")
        while True:
            await wire.chunk(b"x" * 65536)
            sent_bytes += 65536

    answer = await post(send_without_end)

    assert (answer.status, len(answer.body)) == (200, MAX_ANSWER_BYTES)
    assert sent_bytes < 32 * 1024 * 1024  # what the sockets' own buffers hold


async def test_a_sink_that_hangs_neither_delays_a_put_nor_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "obscura")
    loop = asyncio.get_running_loop()
    transport = FastTransport()
    async with loopback_server(hang) as server:
        sink = SplunkSink(transport, server.origin, "token", None, FixedClock())
        sink.limits = replace(sink.limits, linger_s=0.0)
        sender = Sender(sink)
        async with running([sender], close_timeout_s=0.05) as events:
            events.put(an_event(0))
            await server.wait_for_requests(1)
            for number in range(100):
                events.put(an_event(number))
            began_s = loop.time()
        assert loop.time() - began_s < 2
    await transport.aclose()

    assert sender.counts.abandoned == 101


async def test_what_a_sink_says_and_what_it_is_sent_with_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "obscura")

    async def refuse(_: Received, wire: Wire) -> None:
        await wire.answer(500, json.dumps({"text": CANARY, "code": 8, "errors": [CANARY]}).encode(), x_canary=CANARY)

    transport = FastTransport()
    async with loopback_server(refuse) as server:
        urls = {f"POLICY_{name}_URL": f"{server.origin}/{CANARY}" for name in ("WEBHOOK", "SPLUNK", "OTLP")}
        for name, value in (SECRETS | urls).items():
            monkeypatch.setenv(f"OBSCURA_{name}", value)
        monkeypatch.setattr("obscura.policy_events.open.intake_url", lambda _: f"{server.origin}/{CANARY}")
        senders = [Sender(sink, Backoff(60, 60)) for sink in sinks_of(Settings(), transport, FixedClock())]
        async with running(senders) as events:
            events.put(an_event())
    await transport.aclose()

    logged = [str(record.__dict__) for record in caplog.records]
    assert {sender.sink.name for sender in senders} == {"webhook", "splunk", "datadog", "otlp"}
    assert sum("policy_sink" in line for line in logged) >= 4
    for word in (CANARY, *SECRETS.values(), "canary-otlp-key", server.origin):
        assert not any(word in line for line in logged)


async def test_an_event_on_the_wire_holds_no_word_url_or_code_of_its_request() -> None:
    received: list[bytes] = []

    async def take(request: Received, wire: Wire) -> None:
        received.append(request.body + str(request.headers).encode())
        await wire.answer(200, b'{"text":"Success","code":0}')

    image = ImageFacts(
        "canary-path", "url", ("images.example",), "PNG", codes=("canary-code",), sha256="canary-sha", list_matches=()
    )
    facts = RequestFacts(("canary-prompt ann@example.com forbidden",), (image,), project="shop", model="demo")
    policy = CompiledPolicy(
        parse_document({"policy_id": "p", "rules": {"denylist": ["forbidden"], "redact_pii": True}})
    )
    checked = policy.check_request(facts)
    decided = policy.decide(checked, ModerationResult())
    shown = Shown(outcome(Plan(Mode.ENFORCED, Held.LIVE), decided, decided), "p", 1)
    features = features_of(facts, ModerationResult(), decided, checked.redactor.kinds)
    event = event_of(shown, facts, event_id="evt_1", created_at="2026-11-27T10:00:00Z", features=features)
    transport = FastTransport()
    async with loopback_server(take) as server:
        sender = Sender(SplunkSink(transport, server.origin, "token", None, FixedClock()))
        async with running([sender]) as events:
            events.put(event)
    await transport.aclose()

    assert sender.counts.delivered == 1
    assert b"images.example" in received[0]
    assert b"FORBIDDEN" in received[0].upper()  # the entry of the operator's list that was hit
    for word in (b"canary", b"ann@", b"example.com"):
        assert word not in received[0]
