"""The load client: one request at a time on a blocking socket, or a fixed number of requests in flight."""

import asyncio
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Protocol, cast

import httptools
import uvloop

from benchmarks.gateway_load.completion import is_whole_completion
from benchmarks.gateway_load.requests import Request

IN_FLIGHT = 16
_TIMEOUT_S = 60
_RECEIVE_BYTES = 1 << 18


class BadResponse(Exception):
    """A response that is not the upstream's completion."""


class ResponseReader:
    """Parses one HTTP response from whatever pieces a socket returns."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self.complete = False

    @property
    def begun(self) -> bool:
        """Whether a byte of the body has arrived."""
        return bool(self._pieces)

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    @property
    def body(self) -> bytes:
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> None:
        if not data:
            raise BadResponse("the connection closed before the response was complete")
        self._parser.feed_data(data)

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.complete = True


class Check(Protocol):
    """Checks a whole response; raises BadResponse."""

    def __call__(self, reader: ResponseReader, *, streamed: bool) -> None: ...


def require_success(reader: ResponseReader, *, streamed: bool) -> None:
    """Raise BadResponse unless the status is 200."""
    if reader.status != 200:
        raise BadResponse(f"status {reader.status}: {reader.body[:300].decode(errors='replace')}")


def require_completion(reader: ResponseReader, *, streamed: bool) -> None:
    """Raise BadResponse unless the response is a 200 with the upstream's whole completion."""
    require_success(reader, streamed=streamed)
    if not is_whole_completion(reader.body, streamed=streamed):
        raise BadResponse(f"not the upstream's completion: {reader.body[:300].decode(errors='replace')}")


@dataclass(frozen=True, slots=True)
class Latency:
    """From the first byte of the request sent to the first and the last byte of the response's body received."""

    first_byte_ms: float
    whole_ms: float


def connect(request: Request) -> socket.socket:
    """Open a connection to a request's host."""
    connection = socket.create_connection((request.host, request.port), timeout=_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(connection: socket.socket, request: Request, check: Check = require_completion) -> Latency:
    """Send a request, read its response, and check it after the clock has stopped."""
    reader = ResponseReader()
    first_byte_at_s = None
    sent_at_s = time.perf_counter()
    connection.sendall(request.wire)
    while not reader.complete:
        reader.feed(connection.recv(_RECEIVE_BYTES))
        if first_byte_at_s is None and reader.begun:
            first_byte_at_s = time.perf_counter()
    done_at_s = time.perf_counter()
    check(reader, streamed=request.streamed)
    return Latency(((first_byte_at_s or done_at_s) - sent_at_s) * 1e3, (done_at_s - sent_at_s) * 1e3)


def take_turns(
    requests: Mapping[str, Request], *, runs: int, warm_up: int, check: Check = require_completion
) -> dict[str, Latency]:
    """Return each request's median latencies over ``runs`` rounds; each round sends every request once.

    ``check`` raises BadResponse.
    """
    latencies: dict[str, list[Latency]] = {name: [] for name in requests}
    with ExitStack() as connections:
        opened = {name: connections.enter_context(connect(request)) for name, request in requests.items()}
        for number in range(warm_up + runs):
            for name, request in requests.items():
                latency = send(opened[name], request, check)
                if number >= warm_up:
                    latencies[name].append(latency)
    return {
        name: Latency(median(one.first_byte_ms for one in measured), median(one.whole_ms for one in measured))
        for name, measured in latencies.items()
    }


class LoadConnection(asyncio.Protocol):
    """One connection that sends request after request until ``until_s`` of the loop's clock."""

    def __init__(self, request: Request, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._request = request
        self._until_s = until_s
        self._now_s = loop.time
        self.completed_at_s: list[float] = []
        self.finished: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not, by inheritance
        self._send()

    def _send(self) -> None:
        self._reader = ResponseReader()
        self._transport.write(self._request.wire)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            if not self._reader.complete:
                return
            require_completion(self._reader, streamed=self._request.streamed)
        except Exception as error:
            self._finish(error)
            return
        self.completed_at_s.append(self._now_s())
        if self.completed_at_s[-1] < self._until_s:
            self._send()
        else:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or BadResponse("the connection was closed"))

    def _finish(self, error: Exception | None = None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
        self._transport.close()


def requests_per_s(request: Request, *, for_s: float) -> float:
    """Return the responses completed per second while ``IN_FLIGHT`` requests are always in flight."""
    return uvloop.run(_load(request, for_s, IN_FLIGHT))


def send_all_at_once(request: Request, *, times: int) -> None:
    """Send ``times`` requests at the same moment and wait for the last response."""
    uvloop.run(_load(request, 0, times))


async def _load(request: Request, for_s: float, in_flight: int) -> float:
    loop = asyncio.get_running_loop()
    started_at_s = loop.time()
    connections = [LoadConnection(request, started_at_s + for_s) for _ in range(in_flight)]
    for connection in connections:
        await loop.create_connection(lambda protocol=connection: protocol, request.host, request.port)  # type: ignore[misc]
    async with asyncio.timeout(for_s + _TIMEOUT_S):
        await asyncio.gather(*(connection.finished for connection in connections))
    completed_at_s = [at_s for connection in connections for at_s in connection.completed_at_s]
    # Requests that end after the time is up are a partly filled pipe: only the full stretch is counted.
    within = sum(at_s <= started_at_s + for_s for at_s in completed_at_s)
    if within >= 4 * in_flight:
        return within / for_s
    return len(completed_at_s) / (max(completed_at_s) - started_at_s)
