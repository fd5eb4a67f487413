"""Throughput: a fixed number of requests in flight at all times, each followed by the next as its answer completes."""

import asyncio
import time
from typing import cast

import uvloop

from benchmarks.gateway_load.requests import Request
from benchmarks.gateway_load.response_reader import AnswerReader, Refused, check

IN_FLIGHT = 16
_PATIENCE_S = 60


class Asker(asyncio.Protocol):
    """One connection that asks again and again until ``until_s`` (of the loop's clock) has passed."""

    def __init__(self, request: Request, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._request = request
        self._until_s = until_s
        self._now = loop.time
        self.answered_at: list[float] = []
        self.finished: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not, by inheritance
        self._ask()

    def _ask(self) -> None:
        self._reader = AnswerReader()
        self._transport.write(self._request.wire)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            if not self._reader.complete:
                return
            check(self._reader, streamed=self._request.streamed)
        except Exception as error:
            self._finish(error)
            return
        self.answered_at.append(self._now())
        if self.answered_at[-1] < self._until_s:
            self._ask()
        else:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or Refused("the connection was closed"))

    def _finish(self, error: Exception | None = None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
        self._transport.close()


async def _load(request: Request, for_s: float, in_flight: int) -> float:
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    askers = [Asker(request, started_at + for_s) for _ in range(in_flight)]
    for asker in askers:
        await loop.create_connection(lambda asker=asker: asker, request.host, request.port)  # type: ignore[misc]
    async with asyncio.timeout(for_s + _PATIENCE_S):
        await asyncio.gather(*(asker.finished for asker in askers))
    # Requests that end after the time is up are a partly filled pipe: only the full stretch is counted.
    within = sum(at <= started_at + for_s for asker in askers for at in asker.answered_at)
    if within >= 4 * in_flight:
        return within / for_s
    every = [at for asker in askers for at in asker.answered_at]
    return len(every) / (max(every) - started_at)


def requests_per_s(request: Request, *, for_s: float, in_flight: int = IN_FLIGHT) -> float:
    """Return the answers completed per second while ``in_flight`` requests are always under way."""
    return uvloop.run(_load(request, for_s, in_flight))


def all_at_once(request: Request, *, times: int) -> float:
    """Send ``times`` requests at the same moment; give the seconds until the last answer."""
    began = time.perf_counter()
    uvloop.run(_load(request, 0, times))
    return time.perf_counter() - began
