"""Concurrency: work off the event loop in a few threads, in turns between callers; coroutines that fail together."""

import asyncio
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Coroutine, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from obscura.errors import RateLimitExceeded

MIN_WORKERS = 2
LIGHT_WORKERS = 2
MAX_QUEUED_REQUESTS = 64
"""Requests of one caller that may have work in a queue at once."""
RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom work is done for.

    subject    takes turns with the other subjects of its group: a key, the subject of a JWT, or a network
    request    holds the work of one request together; by default each job is a request
    group      takes turns with other groups: a key or the subject of a JWT is one, all networks are one (ADR 88)
    """

    subject: str
    request: Hashable = field(default_factory=object)
    group: str = ""

    @property
    def turn_of(self) -> str:
        """The name of its group: its own, if it is alone."""
        return self.group or self.subject


@dataclass(eq=False, slots=True)
class _Job:
    work: Callable[[], object]
    caller: Caller
    loop: asyncio.AbstractEventLoop
    result: asyncio.Future[Any]


class _CallerQueue:
    """The jobs of one caller that wait, and how many of them each of its requests has."""

    __slots__ = ("jobs", "requests")

    def __init__(self) -> None:
        self.jobs: deque[_Job] = deque()
        self.requests: Counter[Hashable] = Counter()

    def add(self, job: _Job) -> None:
        self.jobs.append(job)
        self.requests[job.caller.request] += 1

    def pop(self) -> _Job:
        job = self.jobs.popleft()
        self._forget(job)
        return job

    def remove(self, job: _Job) -> None:
        with suppress(ValueError):
            self.jobs.remove(job)
            self._forget(job)

    def _forget(self, job: _Job) -> None:
        self.requests[job.caller.request] -= 1
        if not self.requests[job.caller.request]:
            del self.requests[job.caller.request]


class FairThreads:
    """Threads that take one job of each caller in turn: a caller waits for at most one job of each other one.

    A group of callers has the turn of one caller, and its callers take it in turns: of the networks of the free tier,
    however many there are, a caller with a key waits for one job.
    Jobs of one caller run in the order in which they came. The first failure of a request cancels its jobs that wait.
    Safe for coroutines of any event loop.
    """

    def __init__(self, workers: int, name: str, max_queued_requests: int | None = None) -> None:
        """Allow ``workers`` threads, started as they are needed; ``max_queued_requests`` bounds those of one caller."""
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._max_queued_requests = max_queued_requests
        self._lock = Lock()
        self._groups: OrderedDict[str, OrderedDict[str, _CallerQueue]] = OrderedDict()
        """Of each group the subjects that have jobs waiting; the turn of the first group's first subject is next."""

    async def run[Result](self, work: Callable[[], Result], caller: Caller) -> Result:
        """Run ``work`` in a thread; cancelled while still queued, it never runs.

        Raises RateLimitExceeded if too many requests of the caller have work in the queue, and what ``work`` raises.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, caller, loop, loop.create_future())
        try:
            self._push(job)
            self._threads.submit(self._run_next)
            result: Result = await job.result
        except BaseException:
            self._withdraw(job)
            raise
        else:
            return result
        finally:
            # An exception's traceback has this frame: through the job it would keep itself, and what it has read.
            del job, work

    def close(self) -> None:
        """Cancel queued work; work under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            waiting = [job for group in self._groups.values() for queue in group.values() for job in queue.jobs]
            self._groups.clear()
        for job in waiting:
            with suppress(RuntimeError):  # its loop is closed
                job.loop.call_soon_threadsafe(job.result.cancel)

    def _push(self, job: _Job) -> None:
        with self._lock:
            queue = self._queue_of(job.caller) or _CallerQueue()
            limit = self._max_queued_requests
            if limit is not None and len(queue.requests) >= limit and job.caller.request not in queue.requests:
                raise RateLimitExceeded(
                    f"{limit} requests of yours wait to have their images prepared, the limit. Wait for responses "
                    f"before you send more; try again in {RETRY_AFTER_S} s.",
                    retry_after_s=RETRY_AFTER_S,
                )
            queue.add(job)
            self._groups.setdefault(job.caller.turn_of, OrderedDict())[job.caller.subject] = queue

    def _queue_of(self, caller: Caller) -> _CallerQueue | None:
        group = self._groups.get(caller.turn_of)
        return None if group is None else group.get(caller.subject)

    def _forget_empty(self, caller: Caller, queue: _CallerQueue) -> None:
        if not queue.jobs:
            group = self._groups[caller.turn_of]
            del group[caller.subject]
            if not group:
                del self._groups[caller.turn_of]

    def _withdraw(self, job: _Job) -> None:
        with self._lock:
            queue = self._queue_of(job.caller)
            if queue is not None:
                queue.remove(job)
                self._forget_empty(job.caller, queue)

    def _pop(self) -> _Job | None:
        with self._lock:
            if not self._groups:
                return None
            name, group = self._groups.popitem(last=False)
            subject, queue = group.popitem(last=False)
            job = queue.pop()
            if queue.jobs:
                group[subject] = queue
            if group:
                self._groups[name] = group
            return job

    def _run_next(self) -> None:
        """Run the job whose turn it is; there is none if it was cancelled."""
        job = self._pop()
        if job is None or job.result.cancelled():
            return
        result: object = None
        failure: BaseException | None = None
        try:
            result = job.work()
        except BaseException as error:
            failure = error
        ended = [] if failure is None else self._drop(job.caller)
        with suppress(RuntimeError):  # the loop was closed meanwhile
            job.loop.call_soon_threadsafe(_settle, job.result, result, failure)
            for each in ended:
                each.loop.call_soon_threadsafe(each.result.cancel)
        del job, result, failure

    def _drop(self, caller: Caller) -> list[_Job]:
        """Take the jobs of one request out of the queue, at once: its first failure ends the rest of it."""
        with self._lock:
            queue = self._queue_of(caller)
            if queue is None or caller.request not in queue.requests:
                return []
            dropped = [job for job in queue.jobs if job.caller.request == caller.request]
            for job in dropped:
                queue.remove(job)
            self._forget_empty(caller, queue)
            return dropped


def _settle(future: asyncio.Future[Any], result: object, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)


class ImageExecutor:
    """Threads for CPU work on images: one worker for each core, so that the event loop stays free and memory bounded.

    Sixteen large requests on two cores thus hold two decoded images, not sixteen; the other work waits in a queue.
    Light work (headers, base64, checksums) has threads of its own, and waits for no decode.
    """

    def __init__(self, workers: int | None = None) -> None:
        """Allow ``workers`` decodes; by default as many as this process has cores, and at least ``MIN_WORKERS``."""
        self._decodes = FairThreads(
            workers or max(MIN_WORKERS, os.process_cpu_count() or 1), "image", MAX_QUEUED_REQUESTS
        )
        self._light = FairThreads(LIGHT_WORKERS, "light")

    def run[Result](self, work: Callable[[], Result], caller: Caller) -> Coroutine[Any, Any, Result]:
        """Run ``work`` on the next free worker, in the caller's turn; cancelled while still queued, it never runs.

        Raises RateLimitExceeded if too many requests of the caller wait already.
        """
        return self._decodes.run(work, caller)

    def run_light[Result](self, work: Callable[[], Result], caller: Caller) -> Coroutine[Any, Any, Result]:
        """Run ``work`` of a few milliseconds at most; like ``run``, but it waits for no decode."""
        return self._light.run(work, caller)

    def close(self) -> None:
        """Cancel queued work; work under way ends by itself."""
        self._decodes.close()
        self._light.close()


BODY_WORKERS = 2
"""Threads for JSON and text. They share one interpreter lock: more would make the event loop wait longer."""

_body_threads = FairThreads(BODY_WORKERS, "body")
_admitted: ContextVar[Caller | None] = ContextVar("admitted", default=None)


def work_for(subject: str, group: str) -> None:
    """Let this task's work on bodies take the turns of a caller, from now on."""
    _admitted.set(Caller(subject, group=group))


async def run_off_loop[Result](work: Callable[[], Result], *, off_loop: bool = True) -> Result:
    """Run work on JSON or text that takes over a millisecond in a thread, if ``off_loop``, and else where it is.

    The callers that ``work_for`` named take turns.
    """
    if not off_loop:
        return work()
    caller = _admitted.get()
    return await _body_threads.run(work, Caller("") if caller is None else Caller(caller.subject, group=caller.group))


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


_under_way: set[asyncio.Task[None]] = set()
"""The event loop itself holds no strong reference to tasks."""


async def to_the_end(step: Coroutine[None, None, None]) -> None:
    """Run a step to its end even if the task that waits for it is cancelled."""
    task = asyncio.create_task(step)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    await asyncio.shield(task)
