"""Stand-ins of the vendors on loopback: each takes what its documentation describes, and nothing else."""

import base64
import gzip
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from obscura.httpclient.transport import FastTransport
from obscura.policy_events.base import ChainedEvent, Delivery, Sink
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server

type MakeSink = Callable[[httpx.AsyncBaseTransport], Sink]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN, DATADOG_KEY = "splunk-token", "datadog-key"


@dataclass
class Answers:
    """What a stand-in answers, in turn; afterwards, and where nothing is scripted, as its vendor does on success."""

    scripted: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    """The lines of the events of all requests that were accepted."""

    def then(self, status: int, body: Any = None, **headers: str) -> "Answers":
        self.scripted.append((status, body, headers))
        return self

    async def give(self, wire: Wire, events: Sequence[bytes], status: int, body: Any) -> None:
        headers: dict[str, str] = {}
        if self.scripted:
            status, body, headers = self.scripted.pop(0)
        if status < 300:
            self.events += events
        content = b"" if body is None else json.dumps(body).encode()
        await wire.answer(status, content, **headers)


def require(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def objects(body: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """Concatenated JSON objects with nothing between them, each with its bytes."""
    text, found, at = body.decode(), [], 0
    while at < len(text):
        value, end = json.JSONDecoder().raw_decode(text, at)
        require(isinstance(value, dict), "HEC takes objects, no array")
        found.append((value, text[at:end].encode()))
        at = end
    return found


def splunk(request: Received) -> list[bytes]:
    require((request.method, request.path) == ("POST", "/services/collector/event"), "path")
    require(request.headers["authorization"] == f"Splunk {TOKEN}", "authorization")
    lines = []
    for envelope, raw in objects(request.body):
        require(envelope.keys() <= {"time", "host", "source", "sourcetype", "index", "event", "fields"}, "members")
        require(isinstance(envelope["time"], float), "epoch seconds with milliseconds")
        require((envelope["source"], envelope["sourcetype"]) == ("policy-gateway", "policy_gateway_audit"), "source")
        lines.append(bytes(msgspec.json.decode(raw, type=dict[str, msgspec.Raw])["event"]))
    return lines


def datadog(request: Received) -> list[bytes]:
    require((request.method, request.path) == ("POST", "/api/v2/logs"), "path")
    require(request.headers["dd-api-key"] == DATADOG_KEY, "key")
    require(request.headers["content-type"] == "application/json", "type")
    require(request.headers["content-encoding"] == "gzip", "gzip")
    body = gzip.decompress(request.body)
    require(len(body) <= 5_000_000, "5 MB uncompressed")
    logs = json.loads(body)
    require(isinstance(logs, list) and len(logs) <= 1000, "at most 1,000 logs")
    for log in logs:
        require(len(json.dumps(log)) <= 1_000_000, "1 MB a log")
        require((log["ddsource"], log["service"]) == ("policy-gateway", "obscura"), "source")
        require(re.fullmatch(r"[a-z_]+:[^,:]+(,[a-z_]+:[^,:]+)*", log["ddtags"]), "tags")
        require(isinstance(log["hostname"], str), "hostname")
    return [log["message"].encode() for log in logs]


_VALUES: dict[str, Callable[[Any], bool]] = {
    "stringValue": lambda value: isinstance(value, str),
    "boolValue": lambda value: isinstance(value, bool),
    "intValue": lambda value: isinstance(value, str) and int(value) is not None,
}


def otlp(request: Received) -> list[bytes]:
    require((request.method, request.path) == ("POST", "/v1/logs"), "path")
    require(request.headers["content-type"] == "application/json", "type")
    require(request.headers["content-encoding"] == "gzip", "gzip")
    (logs,) = json.loads(gzip.decompress(request.body))["resourceLogs"]
    (scope,) = logs["scopeLogs"]
    require({"name", "version"} == scope["scope"].keys(), "scope")
    for record in scope["logRecords"]:
        known = {"timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "eventName", "body"}
        require(record.keys() <= known | {"attributes", "traceId", "spanId"}, "members are lowerCamelCase")
        require(re.fullmatch(r"\d{19}", record["timeUnixNano"]), "64 bits are a string")
        require(re.fullmatch(r"\d{19}", record["observedTimeUnixNano"]), "64 bits are a string")
        require(
            (record["severityNumber"], record["severityText"]) in {(9, "INFO"), (13, "WARN")}, "an enum is a number"
        )
        for attribute in [*record["attributes"], *logs["resource"]["attributes"]]:
            ((kind, value),) = attribute["value"].items()
            require(attribute.keys() == {"key", "value"} and _VALUES[kind](value), str(attribute))
    return [record["body"]["stringValue"].encode() for record in scope["logRecords"]]


def webhook(request: Received) -> list[bytes]:
    headers, key = request.headers, base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    require(f"v1,{expected}" in headers["webhook-signature"].split(" "), "signature")
    require(re.fullmatch(r"\d+", headers["webhook-timestamp"]), "integer seconds")
    require(headers["content-type"] == "application/json" and len(request.body) < 20_000, "payload")
    body = request.json()
    require(body.keys() == {"type", "timestamp", "data"} and re.fullmatch(r"[a-z]+\.[a-z]+", body["type"]), "body")
    require(body["data"]["event_id"] == headers["webhook-id"], "the id is the event's")
    return [bytes(msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])["data"])]


def firehose(request: Received) -> list[bytes]:
    require(request.headers["x-amz-target"] == "Firehose_20150804.PutRecordBatch", "target")
    require(request.headers["content-type"] == "application/x-amz-json-1.1", "JSON 1.1")
    scope = (
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-west-1/firehose/aws4_request, SignedHeaders=.+, Signature="
    )
    require(re.match(scope, request.headers["authorization"]), "SigV4")
    body = request.json()
    require(body.keys() == {"DeliveryStreamName", "Records"} and body["DeliveryStreamName"] == "audit", "stream")
    records = [base64.b64decode(record["Data"], validate=True) for record in body["Records"]]
    require(len(records) <= 500 and sum(map(len, records)) <= 4_000_000, "500 records, 4 MB")
    require(all(len(record) <= 1_024_000 and record.endswith(b"\n") for record in records), "a record")
    return [record[:-1] for record in records]


SUCCESS: dict[str, tuple[int, Callable[[int], Any]]] = {
    "splunk": (200, lambda _: {"text": "Success", "code": 0}),
    "datadog": (202, lambda _: {}),
    "otlp": (200, lambda _: {}),
    "webhook": (204, lambda _: None),
    "firehose": (200, lambda count: {"FailedPutCount": 0, "RequestResponses": [{"RecordId": "r"}] * count}),
}


@dataclass
class StandIn:
    """A vendor on loopback: what it was sent, and what was wrong with it."""

    server: LoopbackServer
    answers: Answers
    faults: list[str]

    @property
    def requests(self) -> int:
        return len(self.server.received)


@asynccontextmanager
async def stand_in(read: Callable[[Received], list[bytes]]) -> AsyncIterator[StandIn]:
    """Serve a vendor; at the end no request may have been wrong."""
    answers, faults = Answers(), list[str]()
    status, success = SUCCESS[read.__name__]

    async def respond(request: Received, wire: Wire) -> None:
        try:
            events = read(request)
        except (AssertionError, KeyError, ValueError) as fault:
            faults.append(repr(fault))
            await wire.answer(400, b"")
        else:
            await answers.give(wire, events, status, success(len(events)))

    async with loopback_server(respond) as server:
        yield StandIn(server, answers, faults)
    assert faults == []


async def deliver(make: MakeSink, batch: Sequence[ChainedEvent]) -> Delivery:
    """Send one batch by a sink of its own."""
    transport = FastTransport()
    sink = make(transport)
    try:
        return await sink.send(batch)
    finally:
        sink.close()
        await transport.aclose()


def lines(batch: Sequence[ChainedEvent]) -> list[bytes]:
    return [event.line for event in batch]
