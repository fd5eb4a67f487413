"""The executor: a bounded number of workers."""

import asyncio
import threading

import pytest

from obscura.execution import ImageExecutor


async def test_no_more_work_is_under_way_than_there_are_benches() -> None:
    executor, lock, both = ImageExecutor(workers=2), threading.Lock(), threading.Barrier(2)
    under_way = most = 0

    def work() -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        both.wait(5)
        with lock:
            under_way -= 1

    await asyncio.gather(*[executor.run(work) for _ in range(8)])

    executor.close()
    assert most == 2


async def test_work_that_is_given_up_while_in_line_never_runs() -> None:
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


async def test_a_failure_on_a_bench_is_raised_where_it_was_ordered() -> None:
    executor = ImageExecutor()

    with pytest.raises(ZeroDivisionError):
        await executor.run(lambda: 1 / 0)

    executor.close()
