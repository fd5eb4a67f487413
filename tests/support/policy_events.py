"""Decision events for tests, and a sink that a test scripts."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from obscura.policy.events import DecisionEvent, Features
from obscura.policy_events.base import BatchLimits, ChainedEvent, Delivery
from obscura.policy_events.chain import EventChain

AT = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return AT


def an_event(number: int = 1, **parts: Any) -> DecisionEvent:
    fields: dict[str, Any] = {
        "event_id": f"evt_{number}", "created_at": "2026-11-27T09:59:58.250Z", "policy_id": "support",
        "policy_version": 3, "decision": "refuse", "effective_decision": "refuse", "enforced": True,
        "rollout_mode": "enforced", "reason_code": "DENYLIST", "rule": "policy.denylist", "triggered_categories": (),
        "allowlist_hits": (), "denylist_hits": ("forbidden",), "policy_target": "chat.completions",
        "policy_user": "ü-1", "quota_subject": "ü-1", "project_id": "shop", "model": "demo",
        "features": Features(text_characters=(12,)),
    }  # fmt: skip
    return DecisionEvent(**fields | parts)


def chained(count: int, **parts: Any) -> list[ChainedEvent]:
    chain = EventChain()
    return [chain.add(an_event(number, **parts)) for number in range(1, count + 1)]


class ScriptedSink:
    """Keeps every batch, and answers as ``respond`` says."""

    name = "scripted"

    def __init__(
        self,
        respond: Callable[[Sequence[ChainedEvent]], Delivery] = lambda _: Delivery(),
        limits: BatchLimits | None = None,
        schedule_s: Sequence[float] | None = None,
    ) -> None:
        self.limits = limits or BatchLimits(events=100, total_bytes=1_000_000, event_bytes=100_000, linger_s=0.0)
        self.schedule_s = schedule_s
        self.batches: list[list[int]] = []
        self.closed = False
        self._respond = respond
        self._arrived = asyncio.Condition()

    async def send(self, batch: Sequence[ChainedEvent]) -> Delivery:
        self.batches.append([event.sequence for event in batch])
        async with self._arrived:
            self._arrived.notify_all()
        return self._respond(batch)

    def close(self) -> None:
        self.closed = True

    async def wait_for_batches(self, count: int) -> None:
        async with asyncio.timeout(5), self._arrived:
            await self._arrived.wait_for(lambda: len(self.batches) >= count)


class HangingSink(ScriptedSink):
    """Never answers."""

    async def send(self, batch: Sequence[ChainedEvent]) -> Delivery:
        await super().send(batch)
        await asyncio.Event().wait()
        return Delivery()
