"""Signed webhooks by Standard Webhooks 1.0.0 (standard-webhooks/spec, spec/standard-webhooks.md): one POST an event."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Sequence
from functools import reduce

import httpx

from obscura.clock import Clock
from obscura.policy_events.base import BatchLimits, ChainedEvent, Delivery
from obscura.policy_events.chain import sha256, shortened
from obscura.policy_events.http import NoAnswer, Poster

CONCURRENT_POSTS = 8
MAX_BODY_BYTES = 20_000
"""Spec, "Payload size". A larger event is sent shortened, without its link, with the SHA-256 of its line."""

SCHEDULE_S = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
"""Spec, "Deliverability and reliability": the waits after the first attempt."""

GONE = 410
THROTTLING = frozenset({429, 502, 504})


class WebhookSink:
    """A URL of the operator's; the id of an event is its idempotency key."""

    name = "webhook"
    limits = BatchLimits(CONCURRENT_POSTS, CONCURRENT_POSTS * 1_000_000, 1_000_000, linger_s=0.0)
    schedule_s: Sequence[float] | None = SCHEDULE_S

    def __init__(self, transport: httpx.AsyncBaseTransport, url: str, secrets: Sequence[bytes], clock: Clock) -> None:
        """``secrets`` are all that sign: several while one is rotated."""
        self._poster = Poster(transport, url)
        self._secrets = secrets
        self._clock = clock

    async def send(self, batch: Sequence[ChainedEvent]) -> Delivery:
        """POST each event; see ``Sink``."""
        return reduce(Delivery.plus, await asyncio.gather(*map(self._post, batch)))

    def close(self) -> None:
        """Nothing is open but the transport's connections."""

    async def _post(self, event: ChainedEvent) -> Delivery:
        body = _body(event, event.line)
        if len(body) >= MAX_BODY_BYTES:
            body = _body(event, b'%b,"sha256":"%b"}' % (shortened(event.event)[:-1], sha256(event.line).encode()))
        if len(body) >= MAX_BODY_BYTES:
            return Delivery(rejected=1, reason=f"over {MAX_BODY_BYTES} bytes")
        now = self._clock.now()
        try:
            answer = await self._poster.post(
                body, signed_headers(event.event.event_id, int(now.timestamp()), body, self._secrets)
            )
        except NoAnswer as failure:
            return Delivery(later=(event,), reason=str(failure), throttled=True)
        if 200 <= answer.status < 300:
            return Delivery()
        if answer.status == GONE:
            return Delivery(rejected=1, reason=answer.reason, closed=True)
        return Delivery(
            later=(event,),
            reason=answer.reason,
            retry_after_s=answer.retry_after_s(now),
            throttled=answer.status in THROTTLING or "retry-after" in answer.headers,
        )


def _body(event: ChainedEvent, data: bytes) -> bytes:
    head = f'{{"type":"policy.{event.event.event_type}","timestamp":"{event.event.created_at}","data":'
    return b"%b%b}" % (head.encode(), data)


def signed_headers(
    message_id: str, timestamp_s: int, body: bytes, secrets: Sequence[bytes]
) -> tuple[tuple[bytes, bytes], ...]:
    """Return the three headers: HMAC-SHA256 over ``id.timestamp.body``, once for each secret."""
    content = b"%b.%d.%b" % (message_id.encode(), timestamp_s, body)
    signatures = (base64.b64encode(hmac.digest(secret, content, hashlib.sha256)) for secret in secrets)
    return (
        (b"webhook-id", message_id.encode()),
        (b"webhook-timestamp", b"%d" % timestamp_s),
        (b"webhook-signature", b" ".join(b"v1,%b" % signature for signature in signatures)),
    )
