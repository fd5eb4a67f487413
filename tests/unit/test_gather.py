"""Concurrent steps: results in order, and the first failure cancels the others."""

import asyncio

import pytest

from obscura.errors import InvalidImage, TooManyImages
from obscura.execution import gather_or_raise_first


async def test_no_steps_have_no_results() -> None:
    assert await gather_or_raise_first([]) == []


@pytest.mark.parametrize("count", [1, 2, 16])
async def test_results_have_the_order_of_the_steps(count: int) -> None:
    gates = [asyncio.Event() for _ in range(count)]

    async def step(number: int) -> int:
        if number + 1 < count:
            await gates[number + 1].wait()
        gates[number].set()
        return number

    assert await gather_or_raise_first([step(number) for number in range(count)]) == list(range(count))


async def test_all_steps_run_concurrently() -> None:
    barrier = asyncio.Barrier(5)

    async with asyncio.timeout(5):
        await gather_or_raise_first([barrier.wait() for _ in range(5)])


async def fails(with_: Exception, after: asyncio.Event | None = None) -> None:
    if after is not None:
        await after.wait()
    raise with_


async def test_the_first_failure_is_raised_as_itself() -> None:
    never = asyncio.Event()

    with pytest.raises(InvalidImage, match="second") as raised:
        await gather_or_raise_first([fails(TooManyImages("first"), after=never), fails(InvalidImage("second"))])

    assert raised.value.__cause__ is None


async def test_of_simultaneous_failures_that_of_the_earlier_step_is_raised() -> None:
    with pytest.raises(InvalidImage):
        await gather_or_raise_first([fails(InvalidImage("a")), fails(TooManyImages("b")), fails(ValueError("c"))])


async def test_the_failure_of_a_single_step_is_raised_as_itself() -> None:
    with pytest.raises(InvalidImage):
        await gather_or_raise_first([fails(InvalidImage("a"))])


async def test_the_other_steps_end_before_the_failure_is_raised() -> None:
    started, ended = asyncio.Event(), []

    async def long(number: int) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(InvalidImage):
        await gather_or_raise_first([long(1), long(2), fails(InvalidImage("a"), after=started)])

    assert sorted(ended) == [1, 2]


@pytest.mark.parametrize("count", [1, 3])
async def test_cancelling_the_whole_cancels_every_step(count: int) -> None:
    running, ended = asyncio.Semaphore(0), []

    async def long(number: int) -> None:
        running.release()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    whole = asyncio.create_task(gather_or_raise_first([long(number) for number in range(count)]))
    for _ in range(count):
        await running.acquire()

    whole.cancel()

    with pytest.raises(asyncio.CancelledError):
        await whole
    assert sorted(ended) == list(range(count))


async def test_groups_within_steps_are_unwrapped_to_their_first_failure() -> None:
    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(InvalidImage("inner")))

    with pytest.raises(InvalidImage, match="inner"):
        await gather_or_raise_first([grouped(), asyncio.Event().wait()])
