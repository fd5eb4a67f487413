"""Rates of keys that one counter cannot hold: an item of DynamoDB takes 1,000 writes a second.

Each shard has its part of the limit, so that a key never passes more often than its limit says. Each process goes round
the shards, which therefore differ by at most one request a process: at the first request that is refused, at least
``limit - (shards - 1) * processes`` have passed, and what the other shards have left still passes (ADR 143).
"""

import random
from collections.abc import Callable

from obscura.auth.base import Counter, RateCounter

MAX_SHARDS = 64
MAX_SUBJECTS = 4096


class ShardTurns:
    """Whose turn it is, by subject, in this process."""

    def __init__(self, first: Callable[[int], int] = random.randrange) -> None:
        """``first`` draws a subject's first shard: processes that begin at once do not begin with the same one."""
        self._first = first
        self._last: dict[str, int] = {}

    def next(self, subject: str, shards: int) -> int:
        """Return the shard of a subject's next request."""
        last = self._last.pop(subject, None)
        turn = self._first(shards) if last is None else (last + 1) % shards
        if len(self._last) >= MAX_SUBJECTS:
            self._last.pop(next(iter(self._last)))
        self._last[subject] = turn
        return turn


def shard_limit(limit: int, shards: int, shard: int) -> int:
    """Return a shard's part of a limit; the parts differ by one at most, and their sum is the limit."""
    return (limit + shards - 1 - shard) // shards


async def increment_shard(rates: RateCounter, counter: Counter, shards: int, turns: ShardTurns) -> tuple[bool, int]:
    """Count one request of ``counter`` in the shard whose turn it is.

    Return whether it is within the limit, and about how many are left. Raises StoreUnavailable.
    """
    shards = min(shards, counter.limit)  # no shard has a part of zero
    shard = turns.next(counter.subject, shards)
    count = await rates.increment(f"{counter.subject}#{shard}", counter.window)
    part = shard_limit(counter.limit, shards, shard)
    return count <= part, max(0, min(counter.limit - 1, (part - count) * shards))
