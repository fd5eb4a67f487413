"""The workshop: picture work in a few threads, so that the event loop stays free and memory stays bounded."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

LEAST_BENCHES = 2


class Workshop:
    """A bounded place for CPU work on pictures: one bench for each core, and all others wait in line.

    Sixteen large requests thus hold two decoded pictures on two cores, not sixteen.
    """

    def __init__(self, benches: int | None = None) -> None:
        """Open ``benches`` places; by default as many as this process has cores, and at least two."""
        self._threads = ThreadPoolExecutor(
            benches or max(LEAST_BENCHES, os.process_cpu_count() or 1), thread_name_prefix="workshop"
        )

    async def run[Result](self, work: Callable[[], Result]) -> Result:
        """Run ``work`` on the next free bench; cancelled while still in line, it never runs."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Send everybody in line home; work under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
