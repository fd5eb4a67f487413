"""Warm: what the runtime adds to the application, and when a stream's first event leaves."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, PIPE

from benchmarks.lambda_load.cold import Subject
from benchmarks.lambda_load.stand_in import StandIn
from benchmarks.lambda_load.streaming_upstream import StreamingUpstream

_DIRECT = Path(__file__).with_name("direct.py")
_WARM_UP = 10
ROUNDS = 4


@contextmanager
def running(subject: Subject) -> Iterator[StandIn]:
    """Run a function in the streaming runtime against a stand-in."""
    stand_in = StandIn()
    settings = subject.settings | {"AWS_LAMBDA_RUNTIME_API": stand_in.address, "_HANDLER": "app.handler"}
    process = replace(subject, settings=settings).start(
        [subject.interpreter, "-m", "obscura.aws.runtime"], stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        yield stand_in
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(10)
        stand_in.close()


def in_turns(subject: Subject, event: dict[str, object], count: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of an event through the runtime, and of the application called directly.

    The first is from the event's first byte out to the response's last byte in. ``ROUNDS`` turns of ``count`` each, so
    that drift hits both alike.
    """
    whole_ms: list[float] = []
    alone_ms: list[float] = []
    with running(subject) as stand_in:
        for _ in range(ROUNDS):
            whole_ms += [stand_in.invoke(event).whole_ms for _ in range(_WARM_UP + count)][_WARM_UP:]
            alone_ms += _direct_ms(subject, event, _WARM_UP + count)[_WARM_UP:]
    return whole_ms, alone_ms


def _direct_ms(subject: Subject, event: Mapping[str, object], count: int) -> list[float]:
    command: list[str | Path] = [subject.interpreter, "-c", _DIRECT.read_text(), str(count)]
    process = subject.start(command, stdin=PIPE, stdout=DEVNULL, stderr=PIPE)
    _, response = process.communicate(json.dumps(event).encode())
    if process.returncode:
        raise RuntimeError(response.decode()[-1500:])
    elapsed_ms: list[float] = json.loads(response.splitlines()[-1])
    return elapsed_ms


def first_event_ms(stand_in: StandIn, event: dict[str, object], upstream: StreamingUpstream, count: int) -> list[float]:
    """Return the milliseconds from the upstream's first event to ours for each of ``count`` streams, sorted."""
    delays_ms = []
    for _ in range(_WARM_UP + count):
        response = stand_in.invoke(event)
        delays_ms.append((response.first_byte_s - upstream.first_event_s) * 1000)
    return sorted(delays_ms[_WARM_UP:])
