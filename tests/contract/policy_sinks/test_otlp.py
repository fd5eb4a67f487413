"""OpenTelemetry logs over HTTP in JSON."""

import gzip
import json

import httpx
import pytest

from obscura.policy_events.base import Sink
from obscura.policy_events.otlp import OtlpSink
from tests.contract.policy_sinks.stand_ins import MakeSink, StandIn, deliver, lines, otlp, stand_in
from tests.support.policy_events import FixedClock, chained


def sink_of(vendor: StandIn, path: str = "") -> MakeSink:
    def make(transport: httpx.AsyncBaseTransport) -> Sink:
        return OtlpSink(transport, vendor.server.origin + path, [("api-key", "secret")], FixedClock())

    return make


@pytest.mark.parametrize("path", ["", "/", "/v1/logs"])
async def test_a_batch_is_log_records_whose_body_is_the_line(path: str) -> None:
    batch = chained(2)
    async with stand_in(otlp) as vendor:
        delivery = await deliver(sink_of(vendor, path), batch)

    assert delivery.again == ()
    assert vendor.answers.events == lines(batch)
    assert vendor.server.received[0].headers["api-key"] == "secret"
    (logs,) = json.loads(gzip.decompress(vendor.server.received[0].body))["resourceLogs"]
    record = logs["scopeLogs"][0]["logRecords"][0]
    attributes = {attribute["key"]: attribute["value"] for attribute in record["attributes"]}
    assert (record["timeUnixNano"], record["observedTimeUnixNano"]) == ("1795773598250000000", "1795773600000000000")
    assert (record["severityNumber"], record["eventName"]) == (13, "policy.enforcement")
    assert attributes["policy_gateway.policy_version"] == {"intValue": "3"}
    assert attributes["policy_gateway.enforced"] == {"boolValue": True}
    assert attributes["policy_gateway.decision"] == {"stringValue": "refuse"}


@pytest.mark.parametrize("rejected", [1, "1"])
async def test_a_partial_success_is_never_sent_again(rejected: int | str) -> None:
    async with stand_in(otlp) as vendor:
        vendor.answers.then(200, {"partialSuccess": {"rejectedLogRecords": rejected, "errorMessage": "canary"}})
        delivery = await deliver(sink_of(vendor), chained(3))

    assert (delivery.again, delivery.rejected, delivery.reason) == ((), 1, "partial success")


@pytest.mark.parametrize("body", [{"partialSuccess": {}}, {"partialSuccess": None}, "no", {"partialSuccess": [1]}])
async def test_any_other_body_of_a_200_is_a_success(body: object) -> None:
    async with stand_in(otlp) as vendor:
        vendor.answers.then(200, body)
        delivery = await deliver(sink_of(vendor), chained(1))

    assert (delivery.again, delivery.rejected) == ((), 0)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_429_502_503_and_504_are_tried_again_after_retry_after(status: int) -> None:
    batch = chained(2)
    async with stand_in(otlp) as vendor:
        vendor.answers.then(status, retry_after="30")
        delivery = await deliver(sink_of(vendor), batch)

    assert (delivery.again, delivery.retry_after_s) == (tuple(batch), 30.0)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 500])
async def test_every_other_status_is_final(status: int) -> None:
    async with stand_in(otlp) as vendor:
        vendor.answers.then(status)
        delivery = await deliver(sink_of(vendor), chained(2))

    assert (delivery.again, delivery.rejected) == ((), 2)
