"""Datadog's log intake."""

import httpx
import pytest

from obscura.policy_events.base import Sink
from obscura.policy_events.datadog import DatadogSink, intake_url
from obscura.policy_events.open import running
from obscura.policy_events.sender import Sender
from tests.contract.policy_sinks.stand_ins import DATADOG_KEY, MakeSink, StandIn, datadog, deliver, lines, stand_in
from tests.support.policy_events import FixedClock, an_event, chained


def sink_of(vendor: StandIn) -> MakeSink:
    def make(transport: httpx.AsyncBaseTransport) -> Sink:
        return DatadogSink(transport, f"{vendor.server.origin}/api/v2/logs", DATADOG_KEY, FixedClock())

    return make


def test_the_intake_is_the_sites() -> None:
    assert intake_url("us5.datadoghq.com") == "https://http-intake.logs.us5.datadoghq.com/api/v2/logs"


async def test_a_batch_is_an_array_of_logs_whose_message_is_the_line() -> None:
    batch = chained(3)
    async with stand_in(datadog) as vendor:
        delivery = await deliver(sink_of(vendor), batch)

    assert (delivery.again, delivery.rejected) == ((), 0)
    assert vendor.answers.events == lines(batch)


async def test_many_large_events_stay_within_the_limits_of_a_request() -> None:
    async with stand_in(datadog) as vendor:
        transport = httpx.AsyncHTTPTransport()
        sender = Sender(sink_of(vendor)(transport))
        async with running([sender]) as events:
            for number in range(1200):
                events.put(an_event(number))
            for number in range(8):
                events.put(an_event(number, policy_name='"' * 200_000))
        await transport.aclose()

    assert sender.counts.delivered == 1208
    assert vendor.requests >= 3  # 1,000 logs, the rest, what is over the bytes


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_408_429_and_5xx_are_tried_again(status: int) -> None:
    batch = chained(2)
    async with stand_in(datadog) as vendor:
        vendor.answers.then(status, {"errors": [{"status": str(status), "title": "x", "detail": "y"}]})
        delivery = await deliver(sink_of(vendor), batch)

    assert delivery.again == tuple(batch)


@pytest.mark.parametrize("status", [400, 401, 403, 413])
async def test_400_401_403_and_413_are_final(status: int) -> None:
    async with stand_in(datadog) as vendor:
        vendor.answers.then(status, {"errors": []})
        delivery = await deliver(sink_of(vendor), chained(2))

    assert (delivery.rejected, delivery.again, delivery.reason) == (2, (), f"status {status}")


async def test_events_over_18_hours_old_are_counted_and_not_sent() -> None:
    old, fresh = chained(1, created_at="2026-11-26T15:59:00Z"), chained(1)
    async with stand_in(datadog) as vendor:
        mixed = await deliver(sink_of(vendor), [*old, *fresh])
        alone = await deliver(sink_of(vendor), old)

    assert (mixed.rejected, alone.rejected) == (1, 1)
    assert vendor.answers.events == lines(fresh)
    assert vendor.requests == 1
