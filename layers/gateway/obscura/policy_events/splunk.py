"""Splunk's HTTP Event Collector (help.splunk.com, "Format events for HTTP Event Collector", "Troubleshoot HEC")."""

import asyncio
import socket
from collections.abc import Sequence

import httpx
import msgspec
from msgspec import UNSET, Raw, UnsetType

from obscura.clock import Clock
from obscura.policy_events.base import BatchLimits, ChainedEvent, Delivery
from obscura.policy_events.http import Answer, NoAnswer, Poster

PATH = "/services/collector/event"
SOURCE, SOURCE_TYPE = "policy-gateway", "policy_gateway_audit"

SPLIT = frozenset({5, 6, 12, 13, 15})
"""No data, format, event required, event blank, fields: one event of the batch, which a smaller batch finds."""

REQUEST_ENTITY_TOO_LARGE = 413


class _Envelope(msgspec.Struct, omit_defaults=True):
    time: float
    host: str
    source: str
    sourcetype: str
    event: Raw
    index: str | UnsetType = UNSET


class _Answer(msgspec.Struct):
    code: int


class SplunkSink:
    """A collector; every failure but a refused event is tried again: disabled tokens and full indexes are mended."""

    name = "splunk"
    limits = BatchLimits(events=500, total_bytes=800_000, event_bytes=500_000)
    schedule_s: Sequence[float] | None = None

    def __init__(
        self, transport: httpx.AsyncBaseTransport, url: str, token: str, index: str | None, clock: Clock
    ) -> None:
        """``url`` is the collector's, such as ``https://splunk.example:8088``, with or without ``PATH``."""
        self._poster = Poster(transport, url if url.rstrip("/").endswith(PATH) else url.rstrip("/") + PATH)
        self._headers = ((b"Authorization", b"Splunk %b" % token.encode()),)
        self._index: str | UnsetType = index or UNSET
        self._host = socket.gethostname()
        self._clock = clock

    async def send(self, batch: Sequence[ChainedEvent]) -> Delivery:
        """Send a batch; one that is refused for one of its events is halved until that one is found."""
        body = await asyncio.to_thread(self._encode, batch)
        try:
            answer = await self._poster.post(body, self._headers)
        except NoAnswer as failure:
            return Delivery(again=tuple(batch), reason=str(failure))
        code = _code(answer)
        if answer.status == 200 and code in {0, None}:
            return Delivery()
        reason = answer.reason if code is None else f"{answer.reason}, code {code}"
        if code in SPLIT or answer.status == REQUEST_ENTITY_TOO_LARGE:
            return await self._send_halves(batch, reason)
        return Delivery(again=tuple(batch), reason=reason, retry_after_s=answer.retry_after_s(self._clock.now()))

    def close(self) -> None:
        """Nothing is open but the transport's connections."""

    async def _send_halves(self, batch: Sequence[ChainedEvent], reason: str) -> Delivery:
        if len(batch) == 1:
            return Delivery(rejected=1, reason=reason)
        half = len(batch) // 2
        first = await self.send(batch[:half])
        if first.again:
            return first.plus(Delivery(again=tuple(batch[half:])))
        return first.plus(await self.send(batch[half:]))

    def _encode(self, batch: Sequence[ChainedEvent]) -> bytes:
        """Encode objects one after the other: neither an array nor lines."""
        return b"".join(
            msgspec.json.encode(
                _Envelope(
                    round(event.created_at_s, 3), self._host, SOURCE, SOURCE_TYPE, Raw(event.line), index=self._index
                )
            )
            for event in batch
        )


def _code(answer: Answer) -> int | None:
    try:
        return msgspec.json.decode(answer.body, type=_Answer).code
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
