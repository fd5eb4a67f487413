"""Concurrency: image work in a bounded number of threads, and coroutines that fail together."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

MIN_WORKERS = 2


class ImageExecutor:
    """Threads for CPU work on images: one worker for each core, so that the event loop stays free and memory bounded.

    Sixteen large requests on two cores thus hold two decoded images, not sixteen; the other work waits in a queue.
    """

    def __init__(self, workers: int | None = None) -> None:
        """Start ``workers`` threads; by default as many as this process has cores, and at least ``MIN_WORKERS``."""
        self._threads = ThreadPoolExecutor(
            workers or max(MIN_WORKERS, os.process_cpu_count() or 1), thread_name_prefix="image"
        )

    async def run[Result](self, work: Callable[[], Result]) -> Result:
        """Run ``work`` on the next free worker; cancelled while still queued, it never runs."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Cancel queued work; work under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def both[First, Second](
    first: Coroutine[None, None, First], second: Coroutine[None, None, Second]
) -> tuple[First, Second]:
    """Run two steps at once and return both results; the first failure cancels the other and is raised."""
    results: dict[bool, Any] = {}

    async def keep(is_second: bool, step: Coroutine[None, None, object]) -> None:
        results[is_second] = await step

    await gather_or_raise_first([keep(False, first), keep(True, second)])
    return results[False], results[True]


async def gather_or_raise_first[Result](steps: Sequence[Coroutine[None, None, Result]]) -> list[Result]:
    """Run all steps at once and return their results in order; the first failure cancels the others and is raised."""
    if len(steps) <= 1:
        return [await step for step in steps]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step) for step in steps]
    except* Exception as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]
