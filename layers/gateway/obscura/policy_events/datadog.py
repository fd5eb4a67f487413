"""Datadog's log intake (API reference, "Send logs", ``POST /api/v2/logs``)."""

import asyncio
import gzip
import socket
from collections.abc import Sequence

import httpx
import msgspec

from obscura.clock import Clock
from obscura.policy_events.base import BatchLimits, ChainedEvent, Delivery
from obscura.policy_events.http import NoAnswer, Poster

SOURCE, SERVICE = "policy-gateway", "obscura"
ACCEPTED = 202
MAX_AGE_S = 18 * 3600
"""Older logs are not taken."""


class _Log(msgspec.Struct):
    message: str
    ddsource: str
    ddtags: str
    hostname: str
    service: str
    timestamp: str


def intake_url(site: str) -> str:
    """Return the intake's URL of a site, such as ``datadoghq.eu``."""
    return f"https://http-intake.logs.{site}/api/v2/logs"


class DatadogSink:
    """The intake of a site: at most 1,000 logs, 5 MB uncompressed, 1 MB each (it would cut what is longer)."""

    name = "datadog"
    # Quotes are escaped in ``message``: a line may double.
    limits = BatchLimits(events=1000, total_bytes=2_000_000, event_bytes=450_000)
    schedule_s: Sequence[float] | None = None

    def __init__(self, transport: httpx.AsyncBaseTransport, url: str, key: str, clock: Clock) -> None:
        self._poster = Poster(transport, url)
        self._headers = ((b"DD-API-KEY", key.encode()), (b"Content-Encoding", b"gzip"))
        self._hostname = socket.gethostname()
        self._clock = clock

    async def send(self, batch: Sequence[ChainedEvent]) -> Delivery:
        """Send a batch. 408, 429 and 5xx are tried again; 400, 401, 403 and 413 are final."""
        now = self._clock.now()
        fresh = [event for event in batch if now.timestamp() - event.created_at_s < MAX_AGE_S]
        old = Delivery(rejected=len(batch) - len(fresh), reason=f"over {MAX_AGE_S // 3600} h old")
        if not fresh:
            return old
        body = await asyncio.to_thread(self._encode, fresh)
        try:
            answer = await self._poster.post(body, self._headers)
        except NoAnswer as failure:
            sent = Delivery(again=tuple(fresh), reason=str(failure))
        else:
            if answer.status == ACCEPTED:
                sent = Delivery()
            elif answer.status in {408, 429} or answer.status >= 500:
                wait_s = answer.retry_after_s(now)
                sent = Delivery(again=tuple(fresh), reason=answer.reason, retry_after_s=wait_s)
            else:
                sent = Delivery(rejected=len(fresh), reason=answer.reason)
        return sent if len(fresh) == len(batch) else sent.plus(old)

    def close(self) -> None:
        """Nothing is open but the transport's connections."""

    def _encode(self, batch: Sequence[ChainedEvent]) -> bytes:
        return gzip.compress(msgspec.json.encode([self._log(event) for event in batch]), 6)

    def _log(self, chained: ChainedEvent) -> _Log:
        event = chained.event
        tags = f"decision:{event.decision},enforced:{str(event.enforced).lower()},rollout_mode:{event.rollout_mode}"
        return _Log(chained.line.decode(), SOURCE, tags, self._hostname, SERVICE, event.created_at)
