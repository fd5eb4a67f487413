"""Running the same step for many pictures at once."""

import asyncio
from collections.abc import Coroutine, Sequence


async def first_failure_of[Result](steps: Sequence[Coroutine[None, None, Result]]) -> list[Result]:
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
