"""Usage on its way to the store: summed in the process, written every few seconds and at the end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date

from obscura.errors import StoreUnavailable
from obscura.usage.base import UsageCounts, UsageKey, UsageRow, UsageStore

FLUSH_INTERVAL_S = 5.0
CLOSE_TIMEOUT_S = 5.0
MAX_SUMS = 10_000
"""Of keys, models and days at once; past it what comes is lost, and counted as lost."""

_log = logging.getLogger("obscura")


class UsageLedger:
    """Adds up what requests use, off their path: no request waits for the store of usage."""

    def __init__(self, store: UsageStore, interval_s: float = FLUSH_INTERVAL_S) -> None:
        self._store = store
        self._interval_s = interval_s
        self._sums: dict[UsageKey, UsageCounts] = {}
        self._flushing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._pending: asyncio.Task[None] | None = None
        self.lost = 0
        """Requests whose usage no store has."""

    def add(self, key: UsageKey, counts: UsageCounts) -> None:
        """Add the usage of a request; never waits."""
        sums = self._sums.get(key)
        if sums is None:
            if len(self._sums) >= MAX_SUMS:
                self.lost += counts.requests
                return
            sums = self._sums[key] = UsageCounts()
        sums.add(counts)
        self._wake.set()

    async def rows(self, first: date, last: date, subject: str | None = None) -> Sequence[UsageRow]:
        """Return the usage of these days as the store has it, after what this process has not yet written."""
        await self.flush()
        return await self._store.rows(first, last, subject)

    async def flush_within(self, timeout_s: float) -> None:
        """Write for at most ``timeout_s``; a write under way goes on after it."""
        if self._sums:
            self._pending = asyncio.create_task(self.flush(), name="usage flush")
            await asyncio.wait({self._pending}, timeout=timeout_s)

    async def flush(self) -> None:
        """Write what was added; what the store does not take is kept for the next time."""
        async with self._flushing:
            rows = [UsageRow(key, counts) for key, counts in self._sums.items()]
            if not rows:
                return
            self._sums = {}
            try:
                await self._store.add(rows)
            except StoreUnavailable:
                for row in rows:
                    self.add(row.key, row.counts)
                _log.warning("usage_unwritten", extra={"fields": {"sums": len(self._sums)}})

    @asynccontextmanager
    async def running(self) -> AsyncIterator["UsageLedger"]:
        """Write every few seconds for as long as the context holds, and what is left at its end."""
        task = asyncio.create_task(self._run(), name="usage")
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self.flush()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._interval_s)
            self._wake.clear()
            await self.flush()
