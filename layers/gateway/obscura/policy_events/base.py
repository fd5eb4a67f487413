"""What a sink is: where events go, in which batches, and what may become of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from obscura.policy.events import DecisionEvent


@dataclass(frozen=True, slots=True, eq=False)
class ChainedEvent:
    """An event as it is recorded.

    event         its members, without ``features``
    line          its JSON, which every sink gets byte for byte
    sequence      its place in this process's chain, from 1
    created_at_s  when it was decided, in Unix seconds
    """

    event: DecisionEvent
    line: bytes
    sequence: int
    created_at_s: float


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one call of ``Sink.send`` takes: events, bytes of their lines together, bytes of one line."""

    events: int
    total_bytes: int
    event_bytes: int
    linger_s: float = 1.0
    """How long an event waits for others, so that a batch is worth its request."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a batch; all that is neither in ``again`` nor in ``later`` nor ``rejected`` was delivered.

    again          to be sent again, as soon as the sink as a whole may be asked again
    later          to be sent again, each by its own place in the sink's schedule
    rejected       refused for good
    reason         why, for the log line: a status or a code, never what the sink wrote
    retry_after_s  how long the sink asks to be left alone
    throttled      whether the sink is left alone for a while though nothing is in ``again``
    closed         the sink takes no more events, ever
    """

    again: tuple[ChainedEvent, ...] = ()
    later: tuple[ChainedEvent, ...] = ()
    rejected: int = 0
    reason: str | None = None
    retry_after_s: float | None = None
    throttled: bool = False
    closed: bool = False

    @property
    def pauses(self) -> bool:
        """Whether the sink is to be left alone for a while."""
        return self.throttled or bool(self.again)

    def plus(self, other: "Delivery") -> "Delivery":
        """Return what became of two batches."""
        waits = [wait_s for wait_s in (self.retry_after_s, other.retry_after_s) if wait_s is not None]
        return Delivery(
            self.again + other.again,
            self.later + other.later,
            self.rejected + other.rejected,
            self.reason or other.reason,
            max(waits, default=None),
            self.throttled or other.throttled,
            self.closed or other.closed,
        )


class Sink(Protocol):
    """One destination of events. ``send`` is called by one task at a time."""

    name: str
    limits: BatchLimits
    schedule_s: Sequence[float] | None
    """The waits before each new attempt of an event in ``Delivery.later``; after the last one it is given up."""

    async def send(self, batch: Sequence[ChainedEvent]) -> Delivery:
        """Send a batch within ``limits``, in a bounded time. What it raises counts as a failure of the whole batch."""
        ...

    def close(self) -> None:
        """Release threads and connections of its own."""
        ...
