"""The memory budget: what is counted, who waits and for how long, who is refused, and that all of it comes back."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from obscura.errors import Overloaded, RequestTooLarge
from obscura.memory_budget import (
    FREE_BYTES,
    MAX_WAITING,
    WAIT_S,
    GrowingBytes,
    MemoryBudget,
    RequestMemory,
    budget_bytes,
    request_memory,
    share_for_request,
)
from tests.support.skipping_loop import run_skipping

MIB = 1024 * 1024


def full(budget: MemoryBudget) -> RequestMemory:
    """A request that holds all that bodies may have."""
    memory = budget.request()
    budget.used_bytes = memory.held_bytes = budget.body_bytes
    return memory


@pytest.mark.parametrize(
    ("set_mb", "usable_mb", "expected_mb"),
    [(None, 128, 32), (None, 512, 128), (None, 1024, 256), (None, 64_000, 512), (96, 1024, 96), (2048, 1024, 2048)],
)
def test_the_budget_is_a_quarter_within_bounds_unless_set(set_mb: int | None, usable_mb: int, expected_mb: int) -> None:
    assert budget_bytes(set_mb, usable_mb * MIB) == expected_mb * MIB


async def test_a_small_body_is_not_counted_and_never_waits() -> None:
    budget = MemoryBudget(4 * MIB)
    full(budget)

    memory = budget.request()
    await memory.add(FREE_BYTES)

    assert memory.held_bytes == 0
    assert budget.used_bytes == budget.body_bytes


async def test_what_is_over_it_is_counted_and_comes_back() -> None:
    budget = MemoryBudget(8 * MIB)

    memory = budget.request()
    await memory.add(FREE_BYTES)
    await memory.add(1000)
    await memory.add(MIB)

    assert budget.used_bytes == memory.held_bytes == MIB + 1000
    memory.release()
    memory.release()
    assert budget.used_bytes == 0


async def test_what_no_wait_could_make_possible_is_too_large() -> None:
    budget = MemoryBudget(4 * MIB)
    memory = budget.request()

    with pytest.raises(RequestTooLarge, match=r"2,097,152 bytes"):
        await memory.add(2 * MIB + FREE_BYTES + 1)
    assert budget.used_bytes == 0


def test_who_waits_is_served_as_soon_as_memory_is_released() -> None:
    async def main() -> None:
        budget = MemoryBudget(4 * MIB)
        holder, memory = full(budget), budget.request()
        waiting = asyncio.create_task(memory.add(MIB))
        await asyncio.sleep(WAIT_S / 2)
        assert not waiting.done()

        holder.release()
        await waiting

        assert budget.used_bytes == memory.held_bytes == MIB - FREE_BYTES

    run_skipping(main())


def test_after_the_wait_it_is_overloaded_and_holds_nothing() -> None:
    async def main() -> None:
        budget = MemoryBudget(4 * MIB)
        full(budget)
        began_s = asyncio.get_running_loop().time()

        with pytest.raises(Overloaded) as refused:
            await budget.request().add(MIB)

        assert WAIT_S <= asyncio.get_running_loop().time() - began_s < WAIT_S + 0.5
        assert refused.value.retry_after_s
        assert budget.used_bytes == budget.body_bytes

    run_skipping(main())


def test_a_queue_that_is_full_refuses_at_once() -> None:
    async def main() -> None:
        budget = MemoryBudget(4 * MIB)
        holder = full(budget)
        waiting = []
        for number in range(MAX_WAITING):
            memory = budget.request()
            memory.belongs_to(f"{number % 3}")
            waiting.append(asyncio.create_task(memory.add(FREE_BYTES + 1)))
        await asyncio.sleep(0)

        with pytest.raises(Overloaded):
            async with asyncio.timeout(0):
                await budget.request().add(MIB)

        holder.release()
        await asyncio.gather(*waiting)
        assert budget.used_bytes == MAX_WAITING

    run_skipping(main())


def test_who_would_hold_least_is_served_first() -> None:
    async def main() -> None:
        budget = MemoryBudget(32 * MIB)
        holder, heavy, light = full(budget), budget.request(), budget.request()
        served = []

        async def take(name: str, memory: RequestMemory, more_bytes: int) -> None:
            await memory.add(more_bytes)
            served.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(take("heavy", heavy, 8 * MIB))
            await asyncio.sleep(0)
            group.create_task(take("light", light, MIB))
            await asyncio.sleep(0)
            holder.release()

        assert served == ["light", "heavy"]

    run_skipping(main())


def test_if_all_wait_for_each_other_the_latest_is_refused_at_once() -> None:
    async def main() -> None:
        budget = MemoryBudget(16 * MIB)
        first, second = budget.request(), budget.request()
        for memory in (first, second):
            await memory.add(4 * MIB + FREE_BYTES)

        async def grow(memory: RequestMemory) -> bool:
            try:
                await memory.add(MIB)
            except Overloaded:
                memory.release()
                return False
            return True

        async with asyncio.timeout(WAIT_S / 2):
            assert list(await asyncio.gather(grow(first), grow(second))) == [True, False]
        assert budget.used_bytes == 5 * MIB

    run_skipping(main())


def test_a_cancelled_wait_holds_nothing_and_lets_the_next_one_pass() -> None:
    async def main() -> None:
        budget = MemoryBudget(4 * MIB)
        holder = budget.request()
        await holder.add(MIB + FREE_BYTES)
        large, small = budget.request(), budget.request()
        leaving = asyncio.create_task(large.add(2 * MIB))
        await asyncio.sleep(0)
        staying = asyncio.create_task(small.add(FREE_BYTES + 1))
        await asyncio.sleep(0)

        leaving.cancel()
        await asyncio.wait([leaving, staying])

        assert large.held_bytes == 0
        assert small.held_bytes == 1

    run_skipping(main())


async def test_one_project_leaves_a_quarter_to_the_others() -> None:
    budget = MemoryBudget(32 * MIB)

    def of(project: str) -> RequestMemory:
        memory = budget.request()
        memory.belongs_to(project)
        return memory

    await of("a").add(8 * MIB)
    await of("a").add(4 * MIB)
    held_back = asyncio.create_task(of("a").add(MIB))
    await asyncio.sleep(0)
    async with asyncio.timeout(0.5):
        await of("b").add(3 * MIB)

    assert not held_back.done()
    held_back.cancel()
    alone = MemoryBudget(32 * MIB).request()
    alone.belongs_to("a")
    await alone.add(16 * MIB)
    assert alone.held_bytes == 16 * MIB - FREE_BYTES


class SlowBody:
    def __init__(self, memory: RequestMemory) -> None:
        self.memory = memory
        self.given_way = 0

    def is_slow(self) -> bool:
        return True

    def give_way(self) -> None:
        self.given_way += 1
        self.memory.release()


def test_slow_bodies_give_way_to_who_waits_the_largest_first() -> None:
    async def main() -> None:
        budget = MemoryBudget(16 * MIB)
        bodies = []
        for size_mib in (1, 4, 3):
            memory = budget.request()
            await memory.add(size_mib * MIB + FREE_BYTES)
            bodies.append(SlowBody(memory))
            memory.watch(bodies[-1])

        await budget.request().add(2 * MIB + FREE_BYTES)

        assert [body.given_way for body in bodies] == [0, 1, 0]

    run_skipping(main())


async def test_what_grows_is_taken_at_most_twice_ahead() -> None:
    budget = MemoryBudget(64 * MIB)
    memory = budget.request()
    growing = GrowingBytes(memory)
    arrived = 0
    while arrived < 20 * MIB:
        arrived += 48 * 1024
        if not growing.covers(arrived):
            await growing.reach(arrived, 30 * MIB)
        assert arrived - FREE_BYTES <= memory.held_bytes <= max(2 * arrived, FREE_BYTES)
        assert memory.held_bytes - arrived <= MIB


async def test_the_tasks_of_a_request_share_its_memory_and_its_end_releases_it() -> None:
    budget = MemoryBudget(8 * MIB)

    async def fetch() -> None:
        await request_memory().add(MIB)

    with pytest.raises(LookupError), share_for_request(budget) as memory:
        await asyncio.gather(fetch(), fetch())
        assert memory.held_bytes == 2 * MIB - FREE_BYTES
        raise LookupError

    assert budget.used_bytes == 0
    await request_memory().add(100 * MIB)
    assert budget.used_bytes == 0


def test_decodes_that_do_not_fit_together_run_one_after_the_other() -> None:
    budget = MemoryBudget(10 * MIB)
    running, most_bytes = 0, 0
    lock = threading.Lock()

    def decode(size_bytes: int) -> None:
        nonlocal running, most_bytes
        with budget.pixels.reserve(size_bytes):
            with lock:
                running += size_bytes
                most_bytes = max(most_bytes, running)
            threading.Event().wait(0.002)
            with lock:
                running -= size_bytes

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(decode, [4 * MIB, 6 * MIB, 3 * MIB, 9 * MIB] * 6))

    assert most_bytes <= 10 * MIB
    assert budget.pixels.used_bytes == 0


def test_a_decode_larger_than_what_is_free_runs_alone() -> None:
    budget = MemoryBudget(10 * MIB)
    full(budget)

    with budget.pixels.reserve(20 * MIB):
        assert budget.pixels.used_bytes == 20 * MIB
    with pytest.raises(OSError, match="broken"), budget.pixels.reserve(MIB):
        raise OSError("broken")

    assert budget.pixels.used_bytes == 0
