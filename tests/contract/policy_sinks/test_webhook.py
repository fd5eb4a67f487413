"""Signed webhooks by Standard Webhooks 1.0.0."""

import hashlib
import json

import httpx
import pytest

from obscura.policy.events import Features
from obscura.policy_events.base import Sink
from obscura.policy_events.http import Answer
from obscura.policy_events.open import running
from obscura.policy_events.sender import Backoff, Sender
from obscura.policy_events.webhook import SCHEDULE_S, WebhookSink, signed_headers
from obscura.settings import webhook_secrets
from tests.contract.policy_sinks.stand_ins import SECRET, MakeSink, StandIn, deliver, lines, stand_in, webhook
from tests.support.policy_events import AT, FixedClock, an_event, chained


def sink_of(vendor: StandIn, secrets: str = SECRET) -> MakeSink:
    def make(transport: httpx.AsyncBaseTransport) -> Sink:
        return WebhookSink(transport, f"{vendor.server.origin}/hook", webhook_secrets(secrets), FixedClock())

    return make


def test_the_published_vector_is_signed_alike() -> None:
    headers = dict(
        signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', webhook_secrets(SECRET))
    )

    assert headers == {
        b"webhook-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek",
        b"webhook-timestamp": b"1614265330",
        b"webhook-signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_each_event_is_a_post_with_the_line_as_its_data() -> None:
    batch = chained(3)
    async with stand_in(webhook) as vendor:
        delivery = await deliver(sink_of(vendor), batch)

    assert delivery.again == delivery.later == ()
    assert sorted(vendor.answers.events) == sorted(lines(batch))
    assert vendor.server.received[0].path == "/hook"
    assert vendor.server.received[0].headers["webhook-timestamp"] == str(int(AT.timestamp()))


async def test_an_event_over_20_kb_is_sent_shortened_with_its_sha256() -> None:
    batch = chained(1, features=Features(text_characters=(12,) * 9000))
    assert len(batch[0].line) > 20_000
    async with stand_in(webhook) as vendor:
        delivery = await deliver(sink_of(vendor), batch)

    (sent,) = map(json.loads, vendor.answers.events)
    assert delivery.rejected == 0
    assert sent["sha256"] == hashlib.sha256(batch[0].line).hexdigest()
    assert (sent["shortened"], "features" in sent, "chain" in sent) == (True, False, False)


async def test_an_event_that_stays_too_large_is_counted() -> None:
    async with stand_in(webhook) as vendor:
        delivery = await deliver(sink_of(vendor), chained(1, denylist_hits=("x" * 1000,) * 20))

    assert (delivery.rejected, vendor.requests) == (1, 0)


async def test_two_secrets_sign_side_by_side() -> None:
    other = "whsec_" + "A" * 32
    async with stand_in(webhook) as vendor:
        await deliver(sink_of(vendor, f"{other} {SECRET}"), chained(1))

    assert vendor.server.received[0].headers["webhook-signature"].count("v1,") == 2
    assert len(vendor.answers.events) == 1


@pytest.mark.parametrize("status", [301, 400, 401, 404, 500, 503])
async def test_all_but_2xx_is_a_failure_that_waits_for_its_next_attempt(status: int) -> None:
    batch = chained(1)
    async with stand_in(webhook) as vendor:
        vendor.answers.then(status, location=f"{vendor.server.origin}/elsewhere")
        delivery = await deliver(sink_of(vendor), batch)

    assert delivery.later == tuple(batch)
    assert not delivery.throttled
    assert vendor.requests == 1


@pytest.mark.parametrize("status", [429, 502, 504])
async def test_429_502_and_504_throttle_the_sink_and_retry_after_is_kept(status: int) -> None:
    async with stand_in(webhook) as vendor:
        vendor.answers.then(status, retry_after="120")
        delivery = await deliver(sink_of(vendor), chained(1))

    assert (delivery.throttled, delivery.retry_after_s, len(delivery.later)) == (True, 120.0, 1)


async def test_410_ends_the_sink() -> None:
    async with stand_in(webhook) as vendor:
        vendor.answers.then(410)
        delivery = await deliver(sink_of(vendor), chained(1))

    assert (delivery.closed, delivery.rejected) == (True, 1)


async def test_an_event_that_failed_comes_again_under_its_id() -> None:
    async with stand_in(webhook) as vendor:
        vendor.answers.then(500)
        transport = httpx.AsyncHTTPTransport()
        sink = sink_of(vendor)(transport)
        sink.schedule_s = (0.0,)
        async with running([Sender(sink, Backoff(0.0, 0.0))]) as events:
            events.put(an_event())
            await vendor.server.wait_for_requests(2)
        await transport.aclose()

    assert {request.headers["webhook-id"] for request in vendor.server.received} == {"evt_1"}


def test_the_schedule_is_the_specifications() -> None:
    assert SCHEDULE_S == (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Fri, 27 Nov 2026 10:01:30 GMT", 90.0),
        ("Fri, 27 Nov 2026 09:00:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("9" * 400, None),
        ("soon", None),
        ("Fri, 27 Nov 2026 10:01:30", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert Answer(429, httpx.Headers({"retry-after": value}), b"").retry_after_s(AT) == seconds
