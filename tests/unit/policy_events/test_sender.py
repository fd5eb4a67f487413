"""Buffers, batches, backoff, schedules and counts: against sinks that a test scripts."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence

import pytest
from msgspec import UNSET

from obscura.api import access_log
from obscura.policy_events import sender as module
from obscura.policy_events.base import BatchLimits, ChainedEvent, Delivery
from obscura.policy_events.open import running
from obscura.policy_events.sender import MAX_BUFFERED_EVENTS, Backoff, Sender
from tests.support.policy_events import HangingSink, ScriptedSink, an_event

AT_ONCE = Backoff(first_s=0.0, max_s=0.0)


def failing(times: int, retry_after_s: float | None = None) -> Callable[[Sequence[ChainedEvent]], Delivery]:
    """Fail whole batches this many times."""
    left = [times]

    def respond(batch: Sequence[ChainedEvent]) -> Delivery:
        left[0] -= 1
        if left[0] < 0:
            return Delivery()
        return Delivery(again=tuple(batch), reason="status 503", retry_after_s=retry_after_s)

    return respond


async def test_events_that_were_put_together_go_in_batches_within_the_limits() -> None:
    sink = ScriptedSink(limits=BatchLimits(events=3, total_bytes=1_000_000, event_bytes=100_000, linger_s=0.0))
    async with running([Sender(sink)]) as events:
        for number in range(7):
            events.put(an_event(number))

    assert sink.batches == [[1, 2, 3], [4, 5, 6], [7]]
    assert sink.closed


async def test_a_batch_ends_before_its_bytes_are_too_many() -> None:
    sink = ScriptedSink(limits=BatchLimits(events=100, total_bytes=2500, event_bytes=100_000, linger_s=0.0))
    async with running([Sender(sink)]) as events:
        for number in range(5):
            events.put(an_event(number, policy_name="x" * 300))

    assert sink.batches == [[1, 2], [3, 4], [5]]


async def test_an_event_waits_for_others_but_not_for_a_flush() -> None:
    sink = ScriptedSink(limits=BatchLimits(events=100, total_bytes=10**6, event_bytes=10**5, linger_s=60.0))
    async with running([Sender(sink)]) as events:
        events.put(an_event(1))
        await asyncio.sleep(0)
        events.put(an_event(2))
        assert sink.batches == []
        await events.flush(5.0)

        assert sink.batches == [[1, 2]]


async def test_a_batch_that_failed_is_sent_again_until_it_is_delivered_in_order() -> None:
    sink = ScriptedSink(failing(3))
    sender = Sender(sink, AT_ONCE)
    async with running([sender]) as events:
        events.put(an_event(1))
        await sink.wait_for_batches(1)
        events.put(an_event(2))
        await sink.wait_for_batches(4)
        await events.flush(5.0)

    assert [batch[0] for batch in sink.batches[:4]] == [1, 1, 1, 1]
    assert (sender.counts.delivered, sender.buffered) == (2, 0)
    assert sender.counts.attempts_failed >= 3  # the second event may have joined a batch that failed


async def test_only_what_failed_of_a_batch_is_sent_again() -> None:
    def respond(batch: Sequence[ChainedEvent]) -> Delivery:
        return Delivery(again=(batch[1],)) if len(batch) > 1 else Delivery()

    sink = ScriptedSink(respond)
    async with running([Sender(sink, AT_ONCE)]) as events:
        for number in range(3):
            events.put(an_event(number))
        await sink.wait_for_batches(2)

    assert sink.batches == [[1, 2, 3], [2]]


async def test_a_sink_that_raises_is_a_sink_that_failed() -> None:
    answers = [RuntimeError("quotes content"), None]

    def respond(_: Sequence[ChainedEvent]) -> Delivery:
        failure = answers.pop(0)
        if failure is not None:
            raise failure
        return Delivery()

    sink = ScriptedSink(respond)
    sender = Sender(sink, AT_ONCE)
    async with running([sender]) as events:
        events.put(an_event())
        await sink.wait_for_batches(2)

    assert sender.counts.delivered == 1


async def test_a_sink_that_hangs_delays_no_put_and_the_overflow_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = HangingSink(limits=BatchLimits(events=10, total_bytes=10**6, event_bytes=10**5, linger_s=0.0))
    sender = Sender(sink)
    caplog.set_level(logging.WARNING, "obscura")
    async with running([sender], close_timeout_s=0.01) as events:
        events.put(an_event(0))
        await sink.wait_for_batches(1)
        for number in range(MAX_BUFFERED_EVENTS + 4):
            events.put(an_event(number))  # nothing is awaited here: the sender cannot have made space

        assert sender.buffered == MAX_BUFFERED_EVENTS
        assert sender.counts.lost_full == 5

    assert (sender.counts.abandoned, sender.buffered) == (MAX_BUFFERED_EVENTS, 0)
    reasons = [record.fields["reason"] for record in caplog.records if record.msg == "policy_sink"]  # type: ignore[attr-defined]
    assert reasons == ["the buffer is full", "the process ends"]


async def test_the_buffer_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BUFFERED_BYTES", 3000)
    sender = Sender(HangingSink())
    async with running([sender], close_timeout_s=0.0) as events:
        for number in range(5):
            events.put(an_event(number, policy_name="x" * 500))

        assert (sender.buffered, sender.counts.lost_full) == (2, 3)


async def test_space_is_free_again_after_a_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BUFFERED_EVENTS", 100)
    monkeypatch.setattr(module, "MAX_BUFFERED_BYTES", 100_000)
    sender = Sender(ScriptedSink())
    async with running([sender]) as events:
        for _ in range(3):
            for number in range(60):
                events.put(an_event(number))
            await events.flush(5.0)

    assert sender.counts.lost_full == 0
    assert sender.counts.delivered == 180


async def test_a_dead_sink_does_not_hold_up_another() -> None:
    good = ScriptedSink()
    async with running([Sender(HangingSink()), Sender(good)], close_timeout_s=0.0) as events:
        events.put(an_event())
        await good.wait_for_batches(1)


async def test_an_event_that_is_too_large_for_a_sink_is_counted() -> None:
    sender = Sender(ScriptedSink(limits=BatchLimits(events=9, total_bytes=10**6, event_bytes=2000, linger_s=0.0)))
    async with running([sender]) as events:
        events.put(an_event(policy_name="x" * 2000))
        events.put(an_event())

    assert (sender.counts.lost_too_large, sender.counts.delivered) == (1, 1)


async def test_a_flush_ends_with_its_time_and_leaves_the_rest_in_the_buffer() -> None:
    sender = Sender(HangingSink())
    loop = asyncio.get_running_loop()
    async with running([sender], close_timeout_s=0.0) as events:
        events.put(an_event())
        began_s = loop.time()
        await events.flush(0.02)

        assert loop.time() - began_s < 0.5
        assert sender.buffered == 1


async def test_a_flush_does_not_wait_for_a_sink_that_is_left_alone() -> None:
    sink = ScriptedSink(failing(1, retry_after_s=600.0))
    async with running([Sender(sink)], close_timeout_s=0.5) as events:
        events.put(an_event())
        await events.flush(5.0)
        async with asyncio.timeout(1):
            await events.flush(60.0)

    assert len(sink.batches) == 1


async def test_an_event_is_tried_by_the_sinks_schedule_and_then_given_up() -> None:
    def respond(batch: Sequence[ChainedEvent]) -> Delivery:
        failed = tuple(event for event in batch if event.sequence == 1)
        return Delivery(later=failed, reason="status 500" if failed else None)

    sink = ScriptedSink(respond, schedule_s=(0.0, 0.0))
    sender = Sender(sink, AT_ONCE)
    async with running([sender]) as events:
        events.put(an_event(1))
        events.put(an_event(2))
        await sink.wait_for_batches(3)

    assert sink.batches == [[1, 2], [1], [1]]
    assert (sender.counts.given_up, sender.counts.delivered, sender.buffered) == (1, 1, 0)


async def test_others_pass_an_event_that_waits_for_its_next_attempt() -> None:
    def respond(batch: Sequence[ChainedEvent]) -> Delivery:
        return Delivery(later=tuple(event for event in batch if event.sequence == 1))

    sink = ScriptedSink(respond, schedule_s=(3600.0,))
    sender = Sender(sink)
    async with running([sender], close_timeout_s=0.5) as events:
        events.put(an_event(1))
        await sink.wait_for_batches(1)
        events.put(an_event(2))
        await sink.wait_for_batches(2)

    assert sink.batches == [[1], [2]]
    assert sender.counts.abandoned == 1


async def test_a_sink_that_closes_takes_no_more_events() -> None:
    sink = ScriptedSink(lambda batch: Delivery(rejected=len(batch), reason="status 410", closed=True))
    sender = Sender(sink)
    async with running([sender]) as events:
        events.put(an_event(1))
        await events.flush(5.0)
        events.put(an_event(2))
        await events.flush(5.0)

    assert sink.batches == [[1]]
    assert sender.counts.rejected == 2


def test_the_backoff_doubles_up_to_its_bound_less_a_random_half() -> None:
    least, most = Backoff(jitter=lambda: 1.0), Backoff(jitter=lambda: 0.0)

    assert [most.wait_s(failures) for failures in (1, 2, 3, 9, 10, 5000)] == [1, 2, 4, 256, 300, 300]
    assert [least.wait_s(failures) for failures in (1, 2, 5000)] == [0.5, 1, 150]


async def test_every_event_is_a_log_line_and_zero_retention_is_only_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "obscura")
    sink = ScriptedSink()
    async with running([Sender(sink)]) as events:
        events.put(an_event(1))
        events.put(an_event(2, features=UNSET))
        events.put(an_event(3, features=UNSET, event_type="revision"))
        events.put(an_event(4, policy_user="\ud800"))

    written = map(access_log._JsonFormatter().format, caplog.records)
    logged = [json.loads(line) for line in written]
    assert [line["event"]["event_id"] for line in logged if line["message"] == "policy_event"] == ["evt_1", "evt_3"]
    assert [line["fault"] for line in logged if line["level"] == "ERROR"] == ["UnicodeEncodeError"]
    assert logged[-1]["only_counted"] == {"refuse": 1}
    assert logged[-1]["sinks"]["scripted"]["delivered"] == 2
    assert sink.batches == [[1, 2]]
