"""The executor: a bounded number of workers, whose turns go round between callers."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from obscura.errors import RateLimitExceeded
from obscura.execution import MAX_QUEUED_REQUESTS, Caller, FairThreads, ImageExecutor

ANNA, BEN, CARL = Caller("anna"), Caller("ben"), Caller("carl")


@pytest.fixture
def executor() -> Iterator[ImageExecutor]:
    opened = ImageExecutor(workers=1)
    yield opened
    opened.close()


class Hold:
    """A job that keeps a worker until it is released."""

    def __init__(self) -> None:
        self.busy, self.free = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.busy.set()
        self.free.wait(5)


async def held(executor: ImageExecutor, caller: Caller = ANNA) -> tuple[Hold, asyncio.Task[None]]:
    hold = Hold()
    task = asyncio.create_task(executor.run(hold, caller))
    await asyncio.to_thread(hold.busy.wait, 5)
    return hold, task


async def queued(executor: ImageExecutor, *jobs: tuple[Callable[[], object], Caller]) -> list[asyncio.Task[object]]:
    tasks = []
    for work, caller in jobs:
        tasks.append(asyncio.create_task(executor.run(work, caller)))
        await asyncio.sleep(0)
    return tasks


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

    await asyncio.gather(*[executor.run(work, Caller(str(number % 3))) for number in range(8)])

    executor.close()
    assert max_running == 2


async def test_a_caller_waits_for_one_job_of_each_other_caller(executor: ImageExecutor) -> None:
    hold, holding = await held(executor)
    ran: list[str] = []
    jobs = [(lambda: ran.append("anna"), ANNA)] * 5 + [(lambda: ran.append("ben"), BEN)] * 3
    tasks = await queued(executor, *jobs, (lambda: ran.append("carl"), CARL))

    hold.free.set()
    await asyncio.gather(holding, *tasks)

    assert ran == ["anna", "ben", "carl", "anna", "ben", "anna", "ben", "anna", "anna"]


async def test_light_work_does_not_wait_for_a_decode(executor: ImageExecutor) -> None:
    hold, holding = await held(executor)

    async with asyncio.timeout(5):
        assert await executor.run_light(lambda: "walked", BEN) == "walked"

    assert not holding.done()
    hold.free.set()
    await holding


async def test_work_that_is_cancelled_while_queued_never_runs(executor: ImageExecutor) -> None:
    hold, holding = await held(executor)
    ran: list[str] = []
    [waiting] = await queued(executor, (lambda: ran.append("waiting"), ANNA))

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    hold.free.set()
    await holding
    await executor.run(lambda: ran.append("next"), ANNA)

    assert ran == ["next"]


async def test_cancelled_work_is_let_go_at_once(executor: ImageExecutor) -> None:
    class Body:
        """Stands for the megabytes that a job refers to."""

    hold, holding = await held(executor)
    body = Body()
    reference = weakref.ref(body)
    [waiting] = await queued(executor, (partial(id, body), BEN))
    del body

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    del waiting

    assert reference() is None
    hold.free.set()
    await holding


async def test_a_failure_in_a_worker_is_raised_to_the_caller_of_run(executor: ImageExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        await executor.run(lambda: 1 / 0, ANNA)


async def test_a_failure_keeps_nothing_of_its_work_until_garbage_is_collected(executor: ImageExecutor) -> None:
    class Body:
        """Stands for the megabytes that a job refers to."""

    def fail(body: Body) -> None:
        raise ValueError(type(body))

    body = Body()
    reference = weakref.ref(body)
    gc.disable()
    try:
        with pytest.raises(ValueError, match="Body"):
            await executor.run(partial(fail, body), ANNA)
        del body
        await executor.run(lambda: None, ANNA)  # the worker has come back from the failed job
        assert reference() is None
    finally:
        gc.enable()


async def test_one_callers_waiting_requests_are_bounded_and_no_other_callers(executor: ImageExecutor) -> None:
    hold, holding = await held(executor)
    requests = [Caller("anna") for _ in range(MAX_QUEUED_REQUESTS)]
    tasks = await queued(executor, *[(int, request) for request in requests])

    with pytest.raises(RateLimitExceeded, match=f"{MAX_QUEUED_REQUESTS} requests of yours wait") as refused:
        await executor.run(int, Caller("anna"))
    more_of_one = await queued(executor, (int, requests[0]), (int, Caller("ben")))

    assert refused.value.retry_after_s == 1
    hold.free.set()
    await asyncio.gather(holding, *tasks, *more_of_one)
    assert await executor.run(int, Caller("anna")) == 0


async def test_closing_cancels_what_waits() -> None:
    executor = ImageExecutor(workers=1)
    hold, holding = await held(executor)
    [waiting] = await queued(executor, (int, BEN))

    executor.close()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    hold.free.set()
    await holding
    with pytest.raises(RuntimeError):
        await executor.run(int, ANNA)


async def test_threads_run_the_work_of_many_callers_whatever_is_cancelled() -> None:
    threads = FairThreads(3, "test")
    ran: list[int] = []
    tasks = [
        asyncio.create_task(threads.run(partial(ran.append, number), Caller(str(number % 7)))) for number in range(300)
    ]
    await asyncio.sleep(0)
    cancelled = tasks[5::11]
    for task in cancelled:
        task.cancel()

    results = await asyncio.gather(*tasks, return_exceptions=True)

    threads.close()
    lost = sum(isinstance(result, asyncio.CancelledError) for result in results)
    assert lost <= len(cancelled)
    assert len(ran) == len(set(ran)) >= 300 - len(cancelled)


async def test_a_caller_waits_for_one_job_of_a_group_however_many_callers_it_has() -> None:
    ran: list[str] = []
    executor, free = ImageExecutor(workers=1), threading.Event()
    first = asyncio.create_task(executor.run(partial(free.wait, 5), Caller("first")))
    await asyncio.sleep(0.01)
    group = [
        asyncio.create_task(executor.run(partial(ran.append, f"network {number}"), Caller(f"{number}", group="free")))
        for number in range(20)
    ]
    alone = asyncio.create_task(executor.run(partial(ran.append, "key"), Caller("key:1")))
    await asyncio.sleep(0.01)

    free.set()
    await asyncio.gather(first, alone, *group)
    executor.close()

    assert ran.index("key") == 1
    assert [name for name in ran if name != "key"] == [f"network {number}" for number in range(20)]
