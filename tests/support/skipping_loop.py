"""Event loops whose clocks jump, so that minutes pass at once."""

import asyncio
from collections import deque
from collections.abc import Coroutine


class SkippingLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when nothing is ready.

    For coroutines that wait for timers and for each other alone, neither for sockets nor for threads.
    """

    # Of asyncio's base class: what is to run now, and the timers.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _skipped_s = 0.0

    def time(self) -> float:
        """Return the loop's time, with what was skipped."""
        return super().time() + self._skipped_s

    def _run_once(self) -> None:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if not self._ready and timers:
            self._skipped_s += max(0.0, min(timers) - self.time())
        super()._run_once()  # type: ignore[misc]


def run_skipping[Result](main: Coroutine[None, None, Result]) -> Result:
    """Run a coroutine to its end in a loop of its own."""
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(main)


def skip_time(seconds: float) -> None:
    """Let the running loop's clock jump ahead: timers that are due by then fire in its next turn."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]
