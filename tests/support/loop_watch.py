"""What holds an event loop, in CPU time: other processes of a busy machine do not add to it.

asyncio's own debug mode reports slow callbacks by wall-clock time, in which a test on a shared machine would wait for
other tests.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class LoopWatch:
    """The longest callback of the loop, in CPU time of its thread; and the longest gap between two of its ticks.

    ``held_ms`` is what the process computed while the loop waited to go on: in the loop itself or in a thread that kept
    the interpreter's lock.
    """

    callback_ms: float = 0.0
    held_ms: float = 0.0
    slowest: str = ""

    def reset(self) -> None:
        """Forget what was seen so far."""
        self.callback_ms = self.held_ms = 0.0
        self.slowest = ""


@asynccontextmanager
async def watched_loop(tick_s: float = 0.001) -> AsyncIterator[LoopWatch]:
    """Watch the running loop, one of asyncio's own, for as long as the context holds."""
    watch = LoopWatch()
    handle: Any = asyncio.Handle
    run: Callable[[Any], None] = handle._run

    def timed(self: Any) -> None:
        began_s = time.thread_time()
        callback = self._callback
        run(self)
        took_ms = 1000 * (time.thread_time() - began_s)
        if took_ms > watch.callback_ms:
            watch.callback_ms = took_ms
            watch.slowest = repr(getattr(callback, "__self__", callback))[:160]

    async def tick() -> None:
        last_s = time.process_time()
        while True:
            await asyncio.sleep(tick_s)
            now_s = time.process_time()
            watch.held_ms = max(watch.held_ms, 1000 * (now_s - last_s))
            last_s = now_s

    handle._run = timed
    ticking = asyncio.create_task(tick())
    try:
        yield watch
    finally:
        handle._run = run
        ticking.cancel()
