"""The memory budget: the bytes of bodies, fetched images and decoded pixels that all requests hold at once (ADR 72).

A request takes its share as its bytes arrive, in steps, and gives all of it back at its end. Bodies have half of the
budget, decoding has what they leave, and one decode always runs: so what waits for a decode never starves it.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from threading import Condition
from typing import Protocol

from obscura.errors import Overloaded, RequestTooLarge
from obscura.machine_memory import MIB

DEFAULT_PART = 4
"""The budget is this part of what the process may use, unless it is set."""
MIN_BYTES, MAX_DEFAULT_BYTES = 32 * MIB, 512 * MIB

FREE_BYTES = 64 * 1024
"""What a request may have without asking: a body of this size never waits."""
STEP_BYTES = MIB
"""How much is taken ahead of what has arrived, at most."""
WAIT_S = 2.0
MAX_WAITING = 256
MAX_OWNER_WAITING = 128
SHED_INTERVAL_S = 0.25
RETRY_AFTER_S = 2


def budget_bytes(set_mb: int | None, usable_bytes: int) -> int:
    """Return the budget as it is set, in MiB, or that of a process that may use ``usable_bytes``."""
    if set_mb is not None:
        return set_mb * MIB
    return min(max(usable_bytes // DEFAULT_PART, MIN_BYTES), MAX_DEFAULT_BYTES)


class Arrival(Protocol):
    """A body that is arriving, and may have to give way."""

    memory: "RequestMemory"

    def is_slow(self) -> bool:
        """Whether it arrives more slowly than the memory that it holds is worth while others wait for it."""
        ...

    def give_way(self) -> None:
        """End it: its request fails with ``overloaded`` and releases its share."""
        ...


class _Waiter:
    __slots__ = ("granted", "memory", "more_bytes", "number")

    def __init__(self, memory: "RequestMemory", more_bytes: int, number: int) -> None:
        self.memory, self.more_bytes, self.number = memory, more_bytes, number
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def turn(self) -> tuple[int, int]:
        """Its place in the order: those first that would hold least, then those that came first."""
        return self.memory.held_bytes + self.more_bytes, self.number


class MemoryBudget:
    """The budget of one process. Bodies belong to its event loop, ``pixels`` to any thread."""

    def __init__(self, total_bytes: int) -> None:
        """Divide ``total_bytes``: bodies have half of it at most."""
        self.total_bytes = total_bytes
        self.body_bytes = total_bytes // 2
        self.decode_bytes = 2 * total_bytes
        """The most that one decode may take, which is half of what the process may use by default."""
        self.owner_bytes = self.body_bytes * 3 // 4
        """What the requests of one project hold together, unless it is one request."""
        self.used_bytes = 0
        """What bodies and fetched images hold."""
        self._owned_bytes: dict[str, int] = {}
        self.pixels = PixelMemory(self)
        self.arrivals: set[Arrival] = set()
        self._waiting: list[_Waiter] = []
        self._numbers = count()
        self._shedding: asyncio.TimerHandle | None = None

    def request(self) -> "RequestMemory":
        """Return the share of a new request, which holds nothing yet."""
        return RequestMemory(self, next(self._numbers))

    async def take(self, memory: "RequestMemory", more_bytes: int) -> None:
        """Add to a request's share, waiting ``WAIT_S`` at most; raises Overloaded."""
        if not self._waiting and self._fits(more_bytes) and self._owner_may_hold(memory, more_bytes):
            self._grant(memory, more_bytes)
            return
        of_owner = sum(waiter.memory.owner == memory.owner for waiter in self._waiting)
        if len(self._waiting) >= MAX_WAITING or of_owner >= MAX_OWNER_WAITING:
            raise overloaded()
        waiter = _Waiter(memory, more_bytes, next(self._numbers))
        self._waiting.append(waiter)
        self._serve_waiting()
        self._refuse_if_stuck()
        self._shed()
        try:
            async with asyncio.timeout(WAIT_S):
                await waiter.granted
        except TimeoutError:
            raise overloaded() from None
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                self._serve_waiting()

    def release(self, memory: "RequestMemory") -> None:
        """Take back all that a request holds, and give it to those that wait."""
        self.used_bytes -= memory.held_bytes
        left_bytes = self._owned_bytes.get(memory.owner, 0) - memory.held_bytes
        if left_bytes:
            self._owned_bytes[memory.owner] = left_bytes
        else:
            self._owned_bytes.pop(memory.owner, None)
        memory.held_bytes = 0
        if self._waiting:
            self._serve_waiting()

    def _fits(self, more_bytes: int) -> bool:
        return self.used_bytes + more_bytes <= self.body_bytes

    def _owner_may_hold(self, memory: "RequestMemory", more_bytes: int) -> bool:
        owned_bytes = self._owned_bytes.get(memory.owner, 0)
        alone = not memory.owner or owned_bytes == memory.held_bytes
        return alone or owned_bytes + more_bytes <= self.owner_bytes

    def _grant(self, memory: "RequestMemory", more_bytes: int) -> None:
        self.used_bytes += more_bytes
        self._owned_bytes[memory.owner] = self._owned_bytes.get(memory.owner, 0) + more_bytes
        memory.held_bytes += more_bytes

    def _serve_waiting(self) -> None:
        """Grant those whose turn it is, up to the first for whom there is not enough; a project at its limit waits."""
        self._waiting.sort(key=lambda waiter: waiter.turn)
        for waiter in list(self._waiting):
            if not self._fits(waiter.more_bytes):
                return
            if self._owner_may_hold(waiter.memory, waiter.more_bytes):
                self._waiting.remove(waiter)
                if not waiter.granted.done():
                    self._grant(waiter.memory, waiter.more_bytes)
                    waiter.granted.set_result(None)

    def _refuse_if_stuck(self) -> None:
        """If all memory is held by requests that wait for more of it, refuse the latest of them at once."""
        holders = {waiter.memory for waiter in self._waiting}
        if sum(memory.held_bytes for memory in holders) < self.used_bytes:
            return
        waiting = [waiter for waiter in self._waiting if waiter.memory.held_bytes and not waiter.granted.done()]
        if waiting:
            latest = max(waiting, key=lambda waiter: waiter.memory.number)
            self._waiting.remove(latest)
            latest.granted.set_exception(overloaded())
            latest.granted.exception()  # seen, even if its task is cancelled before it runs again

    def _shed(self) -> None:
        """End the slowest bodies that hold as much as others wait for; look again soon, as long as any wait."""
        if self._shedding is not None:
            self._shedding.cancel()
            self._shedding = None
        wanted_bytes = sum(waiter.more_bytes for waiter in self._waiting)
        if not wanted_bytes:
            return
        slow = [arrival for arrival in self.arrivals if arrival.memory.held_bytes and arrival.is_slow()]
        for arrival in sorted(slow, key=self._share, reverse=True):
            wanted_bytes -= arrival.memory.held_bytes
            arrival.give_way()
            if wanted_bytes <= 0:
                break
        self._shedding = asyncio.get_running_loop().call_later(SHED_INTERVAL_S, self._shed)

    def _share(self, arrival: Arrival) -> tuple[int, int]:
        """Order slow bodies: those of the project that holds most first, of them the largest."""
        return self._owned_bytes.get(arrival.memory.owner, 0), arrival.memory.held_bytes


class RequestMemory:
    """The share of one request: nothing until it asks, and everything back when it is released."""

    __slots__ = ("_asked_bytes", "_budget", "held_bytes", "number", "owner")

    def __init__(self, budget: MemoryBudget | None, number: int) -> None:
        """Without a budget nothing is counted."""
        self._budget = budget
        self._asked_bytes = 0
        self.held_bytes = 0
        self.number = number
        self.owner = ""
        """The project that asks, once it is known."""

    def belongs_to(self, project: str) -> None:
        """Count it as one of a project's, before it holds anything."""
        if self._budget is not None and not self.held_bytes:
            self.owner = project

    async def add(self, more_bytes: int) -> None:
        """Take bytes that arrived, or are about to; the request's first ``FREE_BYTES`` are not counted.

        Raises Overloaded if others hold the memory for too long, RequestTooLarge if no wait could help.
        """
        if self._budget is None:
            return
        counted_bytes = max(0, self._asked_bytes - FREE_BYTES)
        self._asked_bytes += more_bytes
        counted_more_bytes = max(0, self._asked_bytes - FREE_BYTES) - counted_bytes
        if counted_bytes + counted_more_bytes > self._budget.body_bytes:
            raise RequestTooLarge(
                f"The body and the images that it names by URL have over {self._budget.body_bytes:,} bytes together, "
                "the limit of this deployment's memory. Send smaller or fewer images."
            )
        if counted_more_bytes:
            await self._budget.take(self, counted_more_bytes)

    def watch(self, arrival: Arrival) -> None:
        """Let a body that is arriving give way while others wait."""
        if self._budget is not None:
            self._budget.arrivals.add(arrival)

    def unwatch(self, arrival: Arrival) -> None:
        """Let it be: the body has arrived, or failed."""
        if self._budget is not None:
            self._budget.arrivals.discard(arrival)

    def release(self) -> None:
        """Release everything; it may be called again."""
        self._asked_bytes = 0
        if self.held_bytes and self._budget is not None:
            self._budget.release(self)


class GrowingBytes:
    """Bytes that arrive for a request, taken in steps ahead of them."""

    __slots__ = ("_covered_bytes", "_memory")

    def __init__(self, memory: RequestMemory) -> None:
        self._memory = memory
        self._covered_bytes = 0

    def covers(self, size_bytes: int) -> bool:
        """Whether ``size_bytes`` may be held already."""
        return size_bytes <= self._covered_bytes

    async def reach(self, size_bytes: int, expected_bytes: int) -> None:
        """Take up to ``size_bytes``, and ahead of it if as much as ``expected_bytes`` is to come; raises as ``add``.

        A step ahead is no larger than what has arrived: who stalls holds no more than twice that.
        """
        step_bytes = min(STEP_BYTES, max(FREE_BYTES, self._covered_bytes))
        wanted_bytes = max(size_bytes, min(expected_bytes, self._covered_bytes + step_bytes))
        await self._memory.add(wanted_bytes - self._covered_bytes)
        self._covered_bytes = wanted_bytes


class PixelMemory:
    """What decoding takes, in worker threads: they wait for each other, in the order in which they came."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._changed = Condition()
        self._queue: deque[object] = deque()
        self.used_bytes = 0

    @contextmanager
    def reserve(self, size_bytes: int) -> Iterator[None]:
        """Hold ``size_bytes`` while the context lasts; a decode that needs more than there is runs alone."""
        turn = object()
        with self._changed:
            self._queue.append(turn)
            self._changed.wait_for(lambda: self._queue[0] is turn and self._fits(size_bytes))
            self._queue.popleft()
            self.used_bytes += size_bytes
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.used_bytes -= size_bytes
                self._changed.notify_all()

    def _fits(self, size_bytes: int) -> bool:
        free_bytes = self._budget.total_bytes - self._budget.used_bytes - self.used_bytes
        return self.used_bytes == 0 or size_bytes <= free_bytes


_UNCOUNTED = RequestMemory(None, 0)
_current: ContextVar[RequestMemory] = ContextVar("request_memory", default=_UNCOUNTED)


def request_memory() -> RequestMemory:
    """Return the share of the request that this task works for; outside of ``share_for_request`` one of no budget."""
    return _current.get()


@contextmanager
def share_for_request(budget: MemoryBudget) -> Iterator[RequestMemory]:
    """Open a request's share, which ``request_memory`` returns in its tasks; it is released however they end."""
    memory = budget.request()
    token = _current.set(memory)
    try:
        yield memory
    finally:
        _current.reset(token)
        memory.release()


def overloaded() -> Overloaded:
    """Return the error for a request that finds no memory in time."""
    return Overloaded(
        "The gateway's memory is taken by other requests. Try again in a moment, or send smaller images.",
        retry_after_s=RETRY_AFTER_S,
    )
