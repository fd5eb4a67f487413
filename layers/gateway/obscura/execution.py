"""The executor: image work in a few threads, so that the event loop stays free and memory stays bounded."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor

MIN_WORKERS = 2


class ImageExecutor:
    """A bounded place for CPU work on images: one bench for each core, and all others wait in line.

    Sixteen large requests thus hold two decoded images on two cores, not sixteen.
    """

    def __init__(self, workers: int | None = None) -> None:
        """Open ``workers`` places; by default as many as this process has cores, and at least two."""
        self._threads = ThreadPoolExecutor(
            workers or max(MIN_WORKERS, os.process_cpu_count() or 1), thread_name_prefix="workshop"
        )

    async def run[Result](self, work: Callable[[], Result]) -> Result:
        """Run ``work`` on the next free bench; cancelled while still in line, it never runs."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Send everybody in line home; work under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def gather_or_raise_first[Result](steps: Sequence[Coroutine[None, None, Result]]) -> list[Result]:
    """Run all steps at once and give their results in order; the first failure ends the others and is raised."""
    if len(steps) == 1:
        return [await steps[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step) for step in steps]
    except* Exception as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]
