"""The least rate of a body: how slowly it may arrive, and how slowly while others wait for memory (ADR 73)."""

import asyncio
import math
from types import TracebackType
from typing import Self

from obscura.errors import ObscuraError, RequestTimeout
from obscura.memory_budget import FREE_BYTES, GrowingBytes, RequestMemory, overloaded

GRACE_S = 10.0
MIN_BYTES_PER_S = 8 * 1024
"""64 kbit/s: less than any mobile network of the third generation, and enough for a photograph of 4 MB in 600 s."""
PRESSED_GRACE_S = 1.0
PRESSED_BYTES_PER_S = 64 * 1024
"""What a body has to arrive at while others wait for the memory that it holds."""
BODY_TIMEOUT_S = 600.0
_REARM_S = 0.5


class BodyPace:
    """A context in which a body arrives; it raises RequestTimeout below the least rate, and Overloaded.

    Each byte earns its time at the least rate, and ``GRACE_S`` of it can be saved up: so a body may pause for that long
    and must keep the rate on average, however quickly it began. A wait for memory, which is ours, does not count.
    """

    def __init__(self, memory: RequestMemory, expected_bytes: int = 0) -> None:
        """Begin now; the body takes its bytes, ``expected_bytes`` if they are known, from its request's share."""
        self.memory = memory
        self._growing = GrowingBytes(memory)
        self._size_bytes, self._expected_bytes = 0, expected_bytes
        self._now = asyncio.get_running_loop().time
        now_s = self._now()
        self._end_s = now_s + BODY_TIMEOUT_S
        self._due_s = self._armed_s = now_s + GRACE_S
        self._pressed_due_s = now_s + PRESSED_GRACE_S
        self._waiting_since_s: float | None = None
        self._gave_way = False
        self._timeout = asyncio.timeout_at(self._due_s)

    async def __aenter__(self) -> Self:
        """Start the clock."""
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.memory.unwatch(self)
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise self._error() from None

    async def take(self, size_bytes: int) -> None:
        """Take the next ``size_bytes`` that arrived, once there is memory for them; raises Overloaded."""
        self._earn(size_bytes)
        self._size_bytes += size_bytes
        if self._size_bytes > FREE_BYTES and not self._growing.covers(self._size_bytes):
            self.memory.watch(self)
            self._pause()
            await self._growing.reach(self._size_bytes, self._expected_bytes)
            self._resume()

    def _earn(self, size_bytes: int) -> None:
        now_s = self._now()
        self._due_s = min(self._due_s + size_bytes / MIN_BYTES_PER_S, now_s + GRACE_S, self._end_s)
        self._pressed_due_s = min(self._pressed_due_s + size_bytes / PRESSED_BYTES_PER_S, now_s + PRESSED_GRACE_S)
        if self._due_s > self._armed_s + _REARM_S:
            self._arm(self._due_s)

    def _pause(self) -> None:
        self._waiting_since_s = self._now()
        self._arm(None)

    def _resume(self) -> None:
        if self._waiting_since_s is None:
            return
        waited_s = self._now() - self._waiting_since_s
        self._waiting_since_s = None
        self._end_s += waited_s
        self._due_s += waited_s
        self._pressed_due_s += waited_s
        self._arm(self._due_s)

    def is_slow(self) -> bool:
        """Whether it arrives below ``PRESSED_BYTES_PER_S``."""
        return self._waiting_since_s is None and self._now() > self._pressed_due_s

    def give_way(self) -> None:
        """End it now, with ``overloaded``."""
        self._gave_way = True
        self._arm(self._now())

    def _arm(self, due_s: float | None) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(due_s)
            self._armed_s = math.inf if due_s is None else due_s

    def _error(self) -> ObscuraError:
        if self._gave_way:
            error: ObscuraError = overloaded()
        else:
            error = RequestTimeout(
                f"The body arrived below {MIN_BYTES_PER_S // 1024} KiB/s, or took over {BODY_TIMEOUT_S:g} s. "
                "Send it faster, or send less: a smaller image, or its https URL."
            )
        error.headers["connection"] = "close"
        return error
