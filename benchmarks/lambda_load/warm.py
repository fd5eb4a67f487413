"""Warm: what the runtime adds to the application, and how soon a stream's first event leaves."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.lambda_load.artefacts import INTERPRETER, Artefacts
from benchmarks.lambda_load.stand_in import StandIn
from benchmarks.lambda_load.streaming_upstream import StreamingUpstream

_DIRECT = Path(__file__).with_name("direct.py")
_WARM_UP = 10
ROUNDS = 4


@contextmanager
def running(artefacts: Artefacts, environment: Mapping[str, str]) -> Iterator[StandIn]:
    """Run the chat function in the streaming runtime against a stand-in."""
    stand_in = StandIn()
    process = subprocess.Popen(
        [INTERPRETER, "-m", "obscura.aws.runtime"],
        cwd=artefacts.functions / "chat",
        env=dict(environment) | {"AWS_LAMBDA_RUNTIME_API": stand_in.address},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield stand_in
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(10)
        stand_in.close()


def in_turns(
    artefacts: Artefacts, environment: Mapping[str, str], event: dict[str, object], count: int
) -> tuple[float, float]:
    """Give the median milliseconds of an event through the runtime, and of the application called directly.

    From an event's first byte out to its response's last byte in, against the application alone; ``ROUNDS`` turns of
    ``count`` each, so that drift hits both alike.
    """
    whole_ms: list[float] = []
    alone_ms: list[float] = []
    with running(artefacts, environment) as stand_in:
        for _ in range(ROUNDS):
            whole_ms += [stand_in.invoke(event).whole_ms for _ in range(_WARM_UP + count)][_WARM_UP:]
            alone_ms += _direct_ms(artefacts, environment, event, _WARM_UP + count)[_WARM_UP:]
    return median(whole_ms), median(alone_ms)


def _direct_ms(
    artefacts: Artefacts, environment: Mapping[str, str], event: Mapping[str, object], count: int
) -> list[float]:
    told = subprocess.run(
        [INTERPRETER, _DIRECT, str(count)],
        cwd=artefacts.functions / "chat",
        env=dict(environment),
        input=json.dumps(event).encode(),
        capture_output=True,
        check=False,
    )
    if told.returncode:
        raise RuntimeError(told.stderr.decode()[-1500:])
    took_ms: list[float] = json.loads(told.stderr.splitlines()[-1])
    return took_ms


def first_event_ms(stand_in: StandIn, event: dict[str, object], upstream: StreamingUpstream, count: int) -> list[float]:
    """Give, for each of ``count`` streams, the milliseconds from the upstream's first event to ours; in order."""
    behind_ms = []
    for _ in range(_WARM_UP + count):
        told = stand_in.invoke(event)
        behind_ms.append((told.first_byte_s - upstream.first_event_s) * 1000)
    return sorted(behind_ms[_WARM_UP:])
