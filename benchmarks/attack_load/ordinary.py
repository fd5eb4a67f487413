"""The ordinary callers: requests one after the other with a pause, and a probe of ``/healthz``."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.gateway_load.client import BadResponse, ResponseReader, require_completion, require_success
from benchmarks.gateway_load.requests import Request

TIMEOUT_S = 10.0
"""A request that takes longer has failed."""
_PAUSE_S = 0.03
_PROBE_INTERVAL_S = 0.05
_RECEIVE_BYTES = 1 << 16


@dataclass(slots=True)
class Served:
    """What one kind of caller saw: the latency of each request that was answered, and why others were not."""

    latencies_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def percentile_ms(self, share: float) -> float:
        """Return the latency that this share of the answered requests did not exceed; 0 without any."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    @property
    def worst_ms(self) -> float:
        """The longest wait, failed requests included as the time-out."""
        return max([*self.latencies_ms, *([TIMEOUT_S * 1e3] if self.failures else [])], default=0.0)


@dataclass(slots=True)
class Caller:
    """One caller with one connection, opened again after a failure."""

    request: Request
    served: Served
    check: Callable[[ResponseReader], None]
    _connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call_until(self, until_s: float, pause_s: float) -> None:
        """Send request after request; the last one is waited for, since it may be the one that waits longest."""
        loop = asyncio.get_running_loop()
        while loop.time() < until_s:
            started_at_s = time.perf_counter()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._send()
            except (OSError, BadResponse, TimeoutError) as error:
                self.served.failures.append(str(error)[:120] or type(error).__name__)
                self._close()
            else:
                self.served.latencies_ms.append((time.perf_counter() - started_at_s) * 1e3)
            await asyncio.sleep(pause_s)
        self._close()

    async def _send(self) -> None:
        if self._connection is None:
            self._connection = await asyncio.open_connection(self.request.host, self.request.port)
        reader, writer = self._connection
        writer.write(self.request.wire)
        response = ResponseReader()
        while not response.complete:
            response.feed(await reader.read(_RECEIVE_BYTES))
        self.check(response)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


async def call_for(text: Request, image: Request, probe: Request, seconds: float) -> tuple[Served, Served, Served]:
    """Run two callers that send text, two that send a small image and the probe; return what each kind saw."""
    until_s = asyncio.get_running_loop().time() + seconds
    texts, images, probes = Served(), Served(), Served()
    callers = [Caller(request, served, _completion) for request, served in ((text, texts), (image, images)) * 2]
    prober = Caller(probe, probes, _success)
    await asyncio.gather(
        *(caller.call_until(until_s, _PAUSE_S) for caller in callers), prober.call_until(until_s, _PROBE_INTERVAL_S)
    )
    return texts, images, probes


def _completion(reader: ResponseReader) -> None:
    require_completion(reader, streamed=False)


def _success(reader: ResponseReader) -> None:
    require_success(reader, streamed=False)
