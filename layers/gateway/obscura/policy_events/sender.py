"""The bounded buffer of one sink, and the task that empties it: batches, backoff, schedules, counts of what is lost."""

import asyncio
import heapq
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from obscura.policy_events.base import ChainedEvent, Delivery, Sink

MAX_BUFFERED_EVENTS = 10_000
MAX_BUFFERED_BYTES = 32 * 1024 * 1024
"""Of one sink; the lines themselves are shared between sinks."""

MAX_RETRY_AFTER_S = 3600.0
REPORT_INTERVAL_S = 60.0

_log = logging.getLogger("obscura")


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pause of a sink that fails: from ``first_s`` doubled up to ``max_s``, less a random part of up to half."""

    first_s: float = 1.0
    max_s: float = 300.0
    jitter: Callable[[], float] = random.random

    def wait_s(self, failures: int) -> float:
        """Return the seconds after this many failures in a row, from 1."""
        return self.jittered(min(self.max_s, self.first_s * 2.0 ** min(failures - 1, 30)))

    def jittered(self, wait_s: float) -> float:
        """Return between half of a wait and all of it, so that processes do not come back at once."""
        return wait_s * (1 - self.jitter() / 2)


@dataclass(slots=True)
class SinkCounts:
    """What became of a sink's events since the start of the process.

    lost_full       the buffer was full (``MAX_BUFFERED_EVENTS``, ``MAX_BUFFERED_BYTES``)
    lost_too_large  one event is over what the sink takes
    rejected        the sink refused them for good
    given_up        every attempt of the schedule failed
    abandoned       unsent when the process ended
    """

    delivered: int = 0
    attempts_failed: int = 0
    lost_full: int = 0
    lost_too_large: int = 0
    rejected: int = 0
    given_up: int = 0
    abandoned: int = 0


@dataclass(slots=True)
class _State:
    """Events that wait, those that wait for their own instant, and those that are being sent."""

    waiting: deque[ChainedEvent] = field(default_factory=deque)
    delayed: list[tuple[float, int, ChainedEvent]] = field(default_factory=list)
    in_flight: Sequence[ChainedEvent] = ()
    total_bytes: int = 0

    def __len__(self) -> int:
        return len(self.waiting) + len(self.delayed) + len(self.in_flight)


class Sender:
    """The buffer and the task of one sink; everything but the sink's own threads runs on the event loop."""

    def __init__(self, sink: Sink, backoff: Backoff | None = None) -> None:
        self.sink = sink
        self.counts = SinkCounts()
        self._backoff = backoff or Backoff()
        self._state = _State()
        self._attempts: dict[int, int] = {}
        self._failures = 0
        self._paused_until_s = self._oldest_s = 0.0
        self._reported_s: float | None = None
        self._hurry = self._closed = False
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()

    @property
    def buffered(self) -> int:
        """The events that are neither delivered nor lost."""
        return len(self._state)

    def put(self, event: ChainedEvent) -> None:
        """Take an event, or count it as lost; never waits."""
        size = len(event.line)
        if self._closed:
            self.counts.rejected += 1
        elif size > self.sink.limits.event_bytes:
            self.counts.lost_too_large += 1
            self._report("an event is too large")
        elif len(self._state) >= MAX_BUFFERED_EVENTS or self._state.total_bytes + size > MAX_BUFFERED_BYTES:
            self.counts.lost_full += 1
            self._report("the buffer is full")
        else:
            if not self._state.waiting:
                self._oldest_s = asyncio.get_running_loop().time()
            self._state.waiting.append(event)
            self._state.total_bytes += size
            self._wake.set()

    async def run(self) -> None:
        """Send what is put, until it is cancelled."""
        while not self._closed:
            await self._wait_until_due()
            await self._send_batch()
        self._quiet.set()

    async def flush(self) -> None:
        """Wait until all that can be sent now is sent: not for a sink that is left alone after a failure."""
        self._hurry = True
        self._quiet.clear()
        self._wake.set()
        if not self._closed:
            await self._quiet.wait()

    def abandon(self) -> None:
        """Count what is left as lost: the process ends."""
        left, self._state = self._state, _State()
        self.counts.abandoned += len(left)
        self._closed = True
        if len(left):
            self._report("the process ends", at_once=True)

    async def _wait_until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now_s, state = loop.time(), self._state
            while state.delayed and state.delayed[0][0] <= now_s:
                state.waiting.appendleft(heapq.heappop(state.delayed)[2])
            linger_until_s = 0.0 if self._hurry else self._oldest_s + self.sink.limits.linger_s
            full = len(state.waiting) >= self.sink.limits.events
            if state.waiting and self._paused_until_s <= now_s and (full or linger_until_s <= now_s):
                return
            instants = [state.delayed[0][0]] if state.delayed else []
            if state.waiting and self._paused_until_s > now_s:
                instants = [self._paused_until_s]
            elif state.waiting:
                instants.append(linger_until_s)
            if not state.waiting or self._paused_until_s > now_s:
                self._hurry = False
                self._quiet.set()
            self._wake.clear()
            try:
                async with asyncio.timeout_at(min(instants) if instants else None):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _send_batch(self) -> None:
        batch = self._take()
        self._state.in_flight = batch
        try:
            delivery = await self.sink.send(batch)
        except Exception as fault:  # a sender that ended would lose everything after it
            delivery = Delivery(again=tuple(batch), reason=type(fault).__name__)
        self._state.in_flight = ()
        self._settle(batch, delivery)

    def _take(self) -> list[ChainedEvent]:
        limits, waiting = self.sink.limits, self._state.waiting
        batch = [waiting.popleft()]
        size = len(batch[0].line)
        while waiting and len(batch) < limits.events and size + len(waiting[0].line) <= limits.total_bytes:
            batch.append(waiting.popleft())
            size += len(batch[-1].line)
        return batch

    def _settle(self, batch: Sequence[ChainedEvent], delivery: Delivery) -> None:
        now_s = asyncio.get_running_loop().time()
        kept = {event.sequence for event in delivery.again}
        self._state.waiting.extendleft(reversed(delivery.again))
        for event in delivery.later:
            wait_s = self._next_wait_s(event)
            if wait_s is None:
                self.counts.given_up += 1
            else:
                kept.add(event.sequence)
                heapq.heappush(self._state.delayed, (now_s + wait_s, event.sequence, event))
        for event in batch:
            if event.sequence not in kept:
                self._state.total_bytes -= len(event.line)
                self._attempts.pop(event.sequence, None)
        self.counts.rejected += delivery.rejected
        self.counts.delivered += len(batch) - len(delivery.again) - len(delivery.later) - delivery.rejected
        self.counts.attempts_failed += len(delivery.again) + len(delivery.later)
        if delivery.pauses:
            self._failures += 1
            wait_s = self._backoff.wait_s(self._failures)
            self._paused_until_s = now_s + max(wait_s, min(delivery.retry_after_s or 0.0, MAX_RETRY_AFTER_S))
        else:
            self._failures, self._paused_until_s = 0, 0.0
        if delivery.reason is not None:
            self._report(delivery.reason)
        if delivery.closed:
            self.counts.rejected += len(self._state)
            self._state = _State()
            self._closed = True
            self._report(delivery.reason or "the sink is closed", at_once=True)

    def _next_wait_s(self, event: ChainedEvent) -> float | None:
        """Return the seconds until an event's next attempt by the sink's schedule, or None after the last."""
        attempts = self._attempts[event.sequence] = self._attempts.get(event.sequence, 0) + 1
        schedule = self.sink.schedule_s or ()
        return self._backoff.jittered(schedule[attempts - 1]) if attempts <= len(schedule) else None

    def _report(self, reason: str, *, at_once: bool = False) -> None:
        """Log a sink's failure with its counts, at most once in ``REPORT_INTERVAL_S``."""
        now_s = asyncio.get_running_loop().time()
        if at_once or self._reported_s is None or now_s - self._reported_s >= REPORT_INTERVAL_S:
            self._reported_s = now_s
            fields = {"sink": self.sink.name, "reason": reason, "buffered": self.buffered, **asdict(self.counts)}
            _log.warning("policy_sink", extra={"fields": fields})
