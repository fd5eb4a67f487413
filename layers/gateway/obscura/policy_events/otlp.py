"""OpenTelemetry logs over HTTP in JSON (opentelemetry-proto: docs/specification.md, examples/logs.json)."""

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from obscura.clock import Clock
from obscura.policy_events.base import BatchLimits, ChainedEvent, Delivery
from obscura.policy_events.http import Answer, NoAnswer, Poster
from obscura.version import __version__

PATH = "/v1/logs"
RETRIED = frozenset({429, 502, 503, 504})
INFO, WARN = (9, "INFO"), (13, "WARN")
CALM = frozenset({"allow", "flag", "redact"})
"""Decisions of severity INFO: the request went on."""

_ATTRIBUTES = (
    "event_id", "event_type", "decision", "effective_decision", "enforced", "rollout_mode", "reason_code", "rule",
    "policy_id", "policy_version", "policy_target", "project_id", "model",
)  # fmt: skip


class _PartialSuccess(msgspec.Struct, rename="camel"):
    rejected_log_records: int | str = 0
    """int64, which JSON has as a string (proto3's JSON mapping)."""


class _Answer(msgspec.Struct, rename="camel"):
    partial_success: _PartialSuccess | None = None


class OtlpSink:
    """A collector; what it takes in part is never sent again."""

    name = "otlp"
    limits = BatchLimits(events=512, total_bytes=2_000_000, event_bytes=1_000_000)
    schedule_s: Sequence[float] | None = None

    def __init__(
        self, transport: httpx.AsyncBaseTransport, url: str, headers: Sequence[tuple[str, str]], clock: Clock
    ) -> None:
        """``url`` is the collector's, such as ``http://127.0.0.1:4318``, with or without ``PATH``."""
        self._poster = Poster(transport, url if url.rstrip("/").endswith(PATH) else url.rstrip("/") + PATH)
        sent = tuple((name.encode(), value.encode()) for name, value in headers)
        self._headers = ((b"Content-Encoding", b"gzip"), *sent)
        self._clock = clock

    async def send(self, batch: Sequence[ChainedEvent]) -> Delivery:
        """Send a batch; tried again only after 429, 502, 503, 504 and a connection without an answer."""
        now = self._clock.now()
        body = await asyncio.to_thread(self._encode, batch, int(now.timestamp() * 1e9))
        try:
            answer = await self._poster.post(body, self._headers)
        except NoAnswer as failure:
            return Delivery(again=tuple(batch), reason=str(failure))
        if answer.status == 200:
            rejected = min(len(batch), _rejected(answer))
            return Delivery(rejected=rejected, reason="partial success" if rejected else None)
        if answer.status in RETRIED:
            return Delivery(again=tuple(batch), reason=answer.reason, retry_after_s=answer.retry_after_s(now))
        return Delivery(rejected=len(batch), reason=answer.reason)

    def close(self) -> None:
        """Nothing is open but the transport's connections."""

    def _encode(self, batch: Sequence[ChainedEvent], observed_ns: int) -> bytes:
        scope = {"name": "obscura.policy_events", "version": __version__}
        resource = {"attributes": [_attribute("service.name", "obscura"), _attribute("service.version", __version__)]}
        records = [_record(event, observed_ns) for event in batch]
        logs = [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": records}]}]
        return gzip.compress(msgspec.json.encode({"resourceLogs": logs}), 6)


def _record(chained: ChainedEvent, observed_ns: int) -> dict[str, Any]:
    event = chained.event
    number, text = INFO if event.decision in CALM else WARN
    values = {f"policy_gateway.{name}": getattr(event, name) for name in _ATTRIBUTES}
    return {
        "timeUnixNano": str(round(chained.created_at_s * 1000) * 1_000_000),
        "observedTimeUnixNano": str(observed_ns),
        "severityNumber": number,
        "severityText": text,
        "eventName": f"policy.{event.event_type}",
        "body": {"stringValue": chained.line.decode()},
        "attributes": [_attribute(name, value) for name, value in values.items() if value is not None],
    }


def _attribute(key: str, value: str | bool | int) -> dict[str, Any]:
    """Return an attribute; an integer is a string, as 64 bits are in proto3's JSON mapping."""
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": value}}


def _rejected(answer: Answer) -> int:
    try:
        partial = msgspec.json.decode(answer.body, type=_Answer).partial_success
        return max(0, int(partial.rejected_log_records)) if partial else 0
    except (ValueError, RecursionError):
        return 0
