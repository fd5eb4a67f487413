"""How long anything keeps Obscura's event loop from its next tick while eight 10 MB requests run."""

import json
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.gateway_load.aims import AIMS
from benchmarks.gateway_load.client import send_all_at_once
from benchmarks.gateway_load.images import Images
from benchmarks.gateway_load.processes import free_port, listens_on, running
from benchmarks.gateway_load.requests import Target, request_for
from benchmarks.gateway_load.subjects import Subject, obscura_key, obscura_settings

REQUESTS, ROUNDS = 8, 3


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of the loop: how late it came, and what the loop's thread did in the meantime."""

    late_ms: float
    own_work_ms: float
    waited_for_core_ms: float

    @property
    def waited_otherwise_ms(self) -> float:
        """The rest: another thread had the interpreter, or the timer was coarse."""
        return max(0.0, self.late_ms - self.own_work_ms - self.waited_for_core_ms)


@dataclass(frozen=True, slots=True)
class Lag:
    """The loop's lag at rest and under load; the latest tick, and those with the most work and the longest wait."""

    rest_p99_ms: float
    ticks: int
    p50_ms: float
    p99_ms: float
    worst: Tick
    most_work: Tick
    most_waiting: Tick
    over_5_ms: int


def measure(upstream: Subject, images: Images, scratch: Path) -> Lag:
    """Run Obscura with the probe, at rest first, then with the eight requests, three times."""
    settings = obscura_settings(upstream, scratch / "obscura-lag")
    key, port = obscura_key(settings), free_port()
    origin = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "benchmarks.gateway_load.lag_probe", str(port)]
    with running(command, ready=listens_on(port), log=scratch / "lag.log", env=settings):
        target = Target(f"{origin}/v1", headers=(("authorization", f"Bearer {key}"),))
        request = request_for("10mb", target, images, origin)
        send_all_at_once(request, times=2)
        _ticks(origin)
        time.sleep(1)
        rest = _ticks(origin)
        for _ in range(ROUNDS):
            send_all_at_once(request, times=REQUESTS)
        return _lag(rest, _ticks(origin))


def described(lag: Lag) -> str:
    """Return it as text: a tick is late by the loop's own work, a wait for a core, or one for the interpreter."""
    return "\n".join(
        (
            f"Event loop while {REQUESTS} requests of 10 MB run ({lag.ticks} ticks; aim: {AIMS['lag'].ours} ms)",
            f"  late by: p50 {lag.p50_ms:.2f} ms, p99 {lag.p99_ms:.2f} ms (at rest {lag.rest_p99_ms:.2f} ms), "
            f"{lag.over_5_ms} ticks by more than 5 ms",
            f"  the latest tick: {_described(lag.worst)}",
            f"  the most work between two ticks: {_described(lag.most_work)}",
            f"  the longest wait for the interpreter: {_described(lag.most_waiting)}",
        )
    )


def _described(tick: Tick) -> str:
    return (
        f"{tick.late_ms:.2f} ms late: {tick.own_work_ms:.2f} ms of the loop's own work, "
        f"{tick.waited_for_core_ms:.2f} ms waiting for a core, "
        f"{tick.waited_otherwise_ms:.2f} ms for the interpreter or a timer"
    )


def _lag(rest: Sequence[Tick], loaded: Sequence[Tick]) -> Lag:
    late = [tick.late_ms for tick in loaded]
    return Lag(
        rest_p99_ms=_p99([tick.late_ms for tick in rest]),
        ticks=len(loaded),
        p50_ms=median(late),
        p99_ms=_p99(late),
        worst=max(loaded, key=lambda tick: tick.late_ms),
        most_work=max(loaded, key=lambda tick: tick.own_work_ms),
        most_waiting=max(loaded, key=lambda tick: tick.waited_otherwise_ms),
        over_5_ms=sum(one > 5 for one in late),
    )


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100)[98]


def _ticks(origin: str) -> list[Tick]:
    """Return the ticks since the last call, without the first, which the response to that call delayed."""
    with urllib.request.urlopen(f"{origin}/benchmark-lag", timeout=10) as response:  # noqa: S310 - an origin of our own
        return [Tick(*one) for one in json.load(response)[1:]]
