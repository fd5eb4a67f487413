"""Many invocations in one environment: how many, their log lines, and the memory of the events that arrive (ADR 145).

Lambda Managed Instances set ``AWS_LAMBDA_MAX_CONCURRENCY``: a runtime may then have as many calls of "Next invocation"
under way at once (Lambda developer guide, "Using the Lambda runtime API for custom runtimes", "Concurrent requests").
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

EVENTS_PART = 4
"""Events that are being served hold this part of the memory at most: bodies and pixels have another (ADR 72)."""
LARGE_EVENT_BYTES = 64 * 1024
"""A larger event is decoded in a thread if others are being served: one of 6 MB takes 15 ms."""

_MAX_CONCURRENCY = "AWS_LAMBDA_MAX_CONCURRENCY"
_LOG_SOCKET = "_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET"


def is_managed(environment: Mapping[str, str]) -> bool:
    """Whether the platform serves several invocations at once, and wants log lines in JSON with their request id."""
    return _MAX_CONCURRENCY in environment


def max_concurrency(environment: Mapping[str, str]) -> int:
    """Return how many invocations may be served at once; 1 if the platform does not say."""
    stated = environment.get(_MAX_CONCURRENCY, "")
    return max(1, int(stated)) if stated.isdecimal() else 1


def redirect_output(environment: Mapping[str, str]) -> OSError | None:
    """Send standard output and error to the platform's log socket, if it names one; returns why that failed.

    As AWS's own Python runtime does (awslambdaric, ``lambda_multi_concurrent_utils``): a connection for each stream.
    """
    path = environment.get(_LOG_SOCKET)
    if not (path and is_managed(environment)):
        return None
    try:
        for descriptor in (1, 2):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.connect(path)
                os.dup2(connection.fileno(), descriptor)
    except OSError as error:
        return error
    return None


class EventMemory:
    """Bytes of the events that are held at once: an event stays unread while the others leave no memory for it.

    Lambda passes events whole, so that they are in memory before any limit of the application can refuse them.
    """

    def __init__(self, total_bytes: int) -> None:
        """One event is always admitted, however large."""
        self.total_bytes = total_bytes
        self.held_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold ``size_bytes`` while the context lasts; waits in the order in which events came."""
        await self._take(size_bytes)
        try:
            yield
        finally:
            self.held_bytes -= size_bytes
            self._admit_waiting()

    async def _take(self, size_bytes: int) -> None:
        if not self._waiting and self._fits(size_bytes):
            self.held_bytes += size_bytes
            return
        turn: tuple[int, asyncio.Future[None]] = (size_bytes, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        try:
            await turn[1]
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn[1].cancelled():
                self.held_bytes -= size_bytes
            self._admit_waiting()
            raise

    def _admit_waiting(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size_bytes, turn = self._waiting.popleft()
            if not turn.done():
                self.held_bytes += size_bytes
                turn.set_result(None)

    def _fits(self, size_bytes: int) -> bool:
        return self.held_bytes == 0 or self.held_bytes + size_bytes <= self.total_bytes
