"""Latency: one request after the other on a blocking socket, subjects taking turns so that drift hits all alike."""

import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from benchmarks.gateway_load.requests import Request
from benchmarks.gateway_load.response_reader import AnswerReader, check

_PATIENCE_S = 60


class Check(Protocol):
    """Looks at a whole answer; raises Refused."""

    def __call__(self, reader: AnswerReader, *, streamed: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Latency:
    """From the first byte of the request sent to the first and the last byte of the answer's body received."""

    first_byte_ms: float
    whole_ms: float


def ask(connection: socket.socket, request: Request, checked: Check = check) -> Latency:
    """Send a request, read its answer, check it after the clock has stopped."""
    reader = AnswerReader()
    first_byte_at = None
    sent_at = time.perf_counter()
    connection.sendall(request.wire)
    while not reader.complete:
        reader.feed(connection.recv(1 << 18))
        if first_byte_at is None and reader.begun:
            first_byte_at = time.perf_counter()
    done_at = time.perf_counter()
    checked(reader, streamed=request.streamed)
    return Latency(((first_byte_at or done_at) - sent_at) * 1e3, (done_at - sent_at) * 1e3)


def connect(request: Request) -> socket.socket:
    """Open a connection to where a request goes."""
    connection = socket.create_connection((request.host, request.port), timeout=_PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def take_turns(
    requests: Mapping[str, Request], *, runs: int, warm_up: int, checked: Check = check
) -> dict[str, Latency]:
    """Return the median latencies of each request over ``runs`` rounds in which every one is sent once.

    ``checked`` raises Refused at an answer that is not the one asked for.
    """
    latencies: dict[str, list[Latency]] = {name: [] for name in requests}
    with ExitStack() as opened:
        connections = {name: opened.enter_context(connect(request)) for name, request in requests.items()}
        for number in range(warm_up + runs):
            for name, request in requests.items():
                latency = ask(connections[name], request, checked)
                if number >= warm_up:
                    latencies[name].append(latency)
    return {
        name: Latency(median(one.first_byte_ms for one in measured), median(one.whole_ms for one in measured))
        for name, measured in latencies.items()
    }
