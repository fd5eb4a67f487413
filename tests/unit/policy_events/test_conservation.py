"""Whatever a sink does, every event is delivered, lost and counted, or still buffered."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from obscura.policy_events.base import BatchLimits, ChainedEvent, Delivery
from obscura.policy_events.open import running
from obscura.policy_events.sender import Backoff, Sender
from tests.support.policy_events import ScriptedSink, an_event

OUTCOMES = st.sampled_from(["delivered", "again", "later", "rejected", "raises", "gone"])
WEIGHED = st.one_of(st.sampled_from(["delivered", "again", "later"]), OUTCOMES)


@settings(max_examples=60)
@given(st.lists(WEIGHED, max_size=60), st.integers(1, 5), st.integers(1, 25))
def test_events_are_delivered_counted_or_buffered(script: list[str], batch_size: int, count: int) -> None:
    left = iter(script)
    delivered: list[int] = []

    def respond(batch: Sequence[ChainedEvent]) -> Delivery:
        outcomes = [(event, next(left, "delivered")) for event in batch]
        if any(outcome == "raises" for _, outcome in outcomes):
            raise RuntimeError
        by = {name: tuple(event for event, outcome in outcomes if outcome == name) for _, name in outcomes}
        delivered.extend(event.sequence for event in by.get("delivered", ()))
        gone = by.get("gone", ())
        return Delivery(
            again=by.get("again", ()), later=by.get("later", ()), rejected=len(by.get("rejected", ())) + len(gone),
            closed=bool(gone),
        )  # fmt: skip

    sink = ScriptedSink(respond, BatchLimits(batch_size, 10_000, 5_000, linger_s=0.0), schedule_s=(0.0, 0.0))
    sender = Sender(sink, Backoff(0.0, 0.0))

    async def run() -> None:
        async with running([sender], close_timeout_s=0.05) as events:
            for number in range(count):
                events.put(an_event(number))
                if number % 7 == 0:
                    await asyncio.sleep(0)
                counts = sender.counts
                lost = counts.rejected + counts.given_up + counts.lost_full
                assert counts.delivered + lost + sender.buffered == number + 1
            await events.flush(0.05)
            state = sender._state
            buffered = [*state.waiting, *state.in_flight, *(event for *_, event in state.delayed)]
            assert state.total_bytes == sum(len(event.line) for event in buffered)

    asyncio.run(run())

    counts = sender.counts
    assert counts.delivered == len(delivered)
    assert len(set(delivered)) == len(delivered)
    assert counts.delivered + counts.rejected + counts.given_up + counts.abandoned == count
