"""Splunk's HTTP Event Collector."""

import json
from collections.abc import Sequence

import httpx
import pytest

from obscura.policy_events.base import Sink
from obscura.policy_events.splunk import SplunkSink
from tests.contract.policy_sinks.stand_ins import TOKEN, MakeSink, StandIn, deliver, lines, objects, splunk, stand_in
from tests.support.loopback_server import Received
from tests.support.policy_events import FixedClock, chained


def sink_of(vendor: StandIn, path: str = "", index: str | None = None) -> MakeSink:
    def make(transport: httpx.AsyncBaseTransport) -> Sink:
        return SplunkSink(transport, vendor.server.origin + path, TOKEN, index, FixedClock())

    return make


@pytest.mark.parametrize("path", ["", "/", "/services/collector/event"])
async def test_a_batch_is_objects_one_after_the_other(path: str) -> None:
    batch = chained(3)
    async with stand_in(splunk) as vendor:
        delivery = await deliver(sink_of(vendor, path), batch)

    assert delivery.again == ()
    assert vendor.answers.events == lines(batch)
    envelope, _ = objects(vendor.server.received[0].body)[0]
    assert envelope["time"] == 1795773598.25
    assert "index" not in envelope


async def test_the_index_is_in_each_envelope() -> None:
    batch = chained(1)
    async with stand_in(splunk) as vendor:
        await deliver(sink_of(vendor, index="main"), batch)

    assert vendor.answers.events == lines(batch)
    assert objects(vendor.server.received[0].body)[0][0]["index"] == "main"


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, 9), (500, 8), (503, 18), (503, 20), (429, None), (403, 1), (401, 2), (401, 3), (403, 4), (400, 7), (400, 10),
     (400, 11), (404, None), (502, None), (307, None)],
)  # fmt: skip
async def test_what_may_be_mended_is_kept_and_named(status: int, code: int | None) -> None:
    batch = chained(2)
    async with stand_in(splunk) as vendor:
        vendor.answers.then(status, None if code is None else {"text": "canary", "code": code})
        delivery = await deliver(sink_of(vendor), batch)

    assert delivery.again == tuple(batch)
    assert delivery.reason == (f"status {status}" if code is None else f"status {status}, code {code}")


@pytest.mark.parametrize("code", [5, 6, 12, 13, 15])
async def test_a_batch_that_is_refused_for_one_event_is_halved_until_it_is_found(code: int) -> None:
    batch = chained(8)

    def refusing(request: Received) -> list[bytes]:
        events = splunk(request)
        if any(json.loads(line)["event_id"] == "evt_6" for line in events):
            vendor.answers.scripted[:] = [(400, {"text": "no", "code": code}, {})]
        return events

    refusing.__name__ = "splunk"
    async with stand_in(refusing) as vendor:
        delivery = await deliver(sink_of(vendor), batch)

    assert (delivery.rejected, delivery.again) == (1, ())
    assert vendor.answers.events == lines([*batch[:5], *batch[6:]])


async def test_halving_stops_at_a_sink_that_is_busy() -> None:
    batch = chained(4)
    async with stand_in(splunk) as vendor:
        vendor.answers.then(400, {"code": 6}).then(503, {"code": 9})
        delivery = await deliver(sink_of(vendor), batch)

    assert delivery.again == tuple(batch)
    assert vendor.requests == 2


@pytest.mark.parametrize("answer", ["html", [], {"code": "x"}])
async def test_an_answer_that_is_not_splunks_is_judged_by_its_status(answer: Sequence[str]) -> None:
    async with stand_in(splunk) as vendor:
        vendor.answers.then(200, answer).then(503, answer)

        assert (await deliver(sink_of(vendor), chained(1))).again == ()
        assert (await deliver(sink_of(vendor), chained(1))).reason == "status 503"
