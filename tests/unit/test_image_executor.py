"""The executor: a bounded number of workers."""

import asyncio
import threading

import pytest

from obscura.execution import ImageExecutor


async def test_no_more_work_runs_at_once_than_there_are_workers() -> None:
    executor, lock, both = ImageExecutor(workers=2), threading.Lock(), threading.Barrier(2)
    running = max_running = 0

    def work() -> None:
        nonlocal running, max_running
        with lock:
            running += 1
            max_running = max(max_running, running)
        both.wait(5)
        with lock:
            running -= 1

    await asyncio.gather(*[executor.run(work) for _ in range(8)])

    executor.close()
    assert max_running == 2


async def test_work_that_is_cancelled_while_queued_never_runs() -> None:
    executor, busy, free, ran = ImageExecutor(workers=1), threading.Event(), threading.Event(), []

    def hold() -> None:
        busy.set()
        free.wait(5)

    holding = asyncio.create_task(executor.run(hold))
    await asyncio.to_thread(busy.wait, 5)
    waiting = asyncio.create_task(executor.run(lambda: ran.append("waiting")))
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    free.set()
    await holding
    await executor.run(lambda: ran.append("next"))

    executor.close()
    assert ran == ["next"]


async def test_a_failure_in_a_worker_is_raised_to_the_caller_of_run() -> None:
    executor = ImageExecutor()

    with pytest.raises(ZeroDivisionError):
        await executor.run(lambda: 1 / 0)

    executor.close()
