"""Measures all subjects in one run: all of them run at the same time, and only one is loaded at a time."""

import json
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.gateway_load.client import BadResponse, Latency, connect, requests_per_s, send, take_turns
from benchmarks.gateway_load.images import Images
from benchmarks.gateway_load.processes import cpu_s, peak_mb, reset_peak
from benchmarks.gateway_load.requests import Request, Scenario, ScenarioName, request_for
from benchmarks.gateway_load.subjects import UPSTREAM, Subject

LINKS_MBIT_PER_S = (100, 1000)
CPU_BATCHES = 3
_LINK_RUNS = 5
_WARM_UP_S = 0.3
_SETTLE_S = 0.1
"""For what a gateway still does after its response, and counts as the request's CPU."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: rounds of throughput, and the share of each scenario's own runs and seconds."""

    rounds: int
    share: float


FULL, QUICK = Effort(rounds=3, share=1), Effort(rounds=1, share=0.25)


@dataclass(frozen=True, slots=True)
class Figures:
    """One subject in one scenario; with an ``error`` there is nothing else.

    ``spread`` is the best round's throughput over the worst's: well over 1, the machine was not quiet.
    """

    scenario: ScenarioName
    subject: str
    first_byte_ms: float = 0
    whole_ms: float = 0
    added_first_byte_ms: float = 0
    added_ms: float = 0
    cpu_ms: float | None = None
    requests_per_s: float = 0
    spread: float = 1
    peak_mb: float | None = None
    relayed_bytes: int = 0
    images_fetched: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """Seconds from a request's first byte sent until the upstream had the whole request over a link."""

    scenario: ScenarioName
    subject: str
    mbit_per_s: int
    complete_s: float


def measure(scenario: Scenario, subjects: Sequence[Subject], images: Images, effort: Effort) -> list[Figures]:
    """Return the figures of each subject; the first is the upstream alone, which the others are compared with."""
    upstream = subjects[0]
    requests = {one.name: request_for(scenario.name, one.target, images, upstream.origin) for one in subjects}
    errors: dict[str, str] = {}
    for subject in subjects:
        if subject.pid is not None:
            reset_peak(subject.pid)
        try:
            take_turns({subject.name: requests[subject.name]}, runs=2, warm_up=1)
        except (BadResponse, OSError) as error:
            if subject is upstream:
                raise
            errors[subject.name] = str(error)
    requests = {name: request for name, request in requests.items() if name not in errors}
    runs = max(5, round(scenario.runs * effort.share))
    latencies = take_turns(requests, runs=runs, warm_up=max(3, runs // 10))
    measured = [subject for subject in subjects if subject.name in requests]
    cpu_ms = {one.name: _cpu_ms(one.pid, requests[one.name], runs) for one in measured if one.pid is not None}
    throughputs = _throughputs(requests, scenario, effort, upstream)
    figures = [Figures(scenario.name, name, error=error) for name, error in errors.items()]
    return figures + [
        _figures(scenario, one, latencies, cpu_ms.get(one.name), throughputs[one.name]) for one in measured
    ]


def measure_links(
    names: Sequence[ScenarioName], subjects: Sequence[Subject], images: Images, effort: Effort
) -> list[LinkFigures]:
    """Return the upload times of each scenario over each link, subjects taking turns; without those that fail."""
    upstream = subjects[0]
    figures = []
    for name in names:
        requests = {one.name: request_for(name, one.target, images, upstream.origin) for one in subjects}
        for mbit_per_s in LINKS_MBIT_PER_S:
            _get(upstream, f"/link/{mbit_per_s}")
            try:
                complete_s = _complete_s(requests, upstream, max(2, round(_LINK_RUNS * effort.share)))
            finally:
                _get(upstream, "/link/0")
            figures += [LinkFigures(name, subject, mbit_per_s, value_s) for subject, value_s in complete_s.items()]
            print(f"  {name:5} over {mbit_per_s} Mbit/s", file=sys.stderr)
    return figures


def _complete_s(requests: Mapping[str, Request], upstream: Subject, runs: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in requests}
    failed = set()
    for _ in range(runs):
        for name, request in requests.items():
            try:
                with connect(request) as connection:
                    began_s = time.monotonic()
                    send(connection, request)
            except (BadResponse, OSError) as error:
                print(f"  {name}: {error}", file=sys.stderr)
                failed.add(name)
                continue
            # CLOCK_MONOTONIC is one clock for all processes of a machine.
            seconds[name].append(_received(upstream)["complete_at_s"] - began_s)
    return {name: median(values) for name, values in seconds.items() if name not in failed}


@dataclass(frozen=True, slots=True)
class _Throughput:
    requests_per_s: float
    spread: float
    relayed_bytes: int
    images_fetched: bool


def _throughputs(
    requests: Mapping[str, Request], scenario: Scenario, effort: Effort, upstream: Subject
) -> dict[str, _Throughput]:
    rates: dict[str, list[float]] = {name: [] for name in requests}
    received: dict[str, dict[str, float]] = {}
    for number in range(effort.rounds):
        for name, request in requests.items():
            if number == 0:
                requests_per_s(request, for_s=_WARM_UP_S)
            _received(upstream)
            rates[name].append(requests_per_s(request, for_s=max(1.0, scenario.load_s * effort.share)))
            received[name] = _received(upstream)
            print(f"  {scenario.name:5} {name:16} {rates[name][-1]:9.1f} requests/s", file=sys.stderr)
    return {
        name: _Throughput(
            median(rates[name]),
            max(rates[name]) / min(rates[name]),
            round(received[name]["received_bytes"] / max(1, received[name]["completions"])),
            2 * received[name]["images_fetched"] > received[name]["completions"],
        )
        for name in requests
    }


def _cpu_ms(pid: int, request: Request, runs: int) -> float:
    """Return the CPU of a subject's process for one request, one at a time: the median of ``CPU_BATCHES``."""
    per_batch = max(2, runs // CPU_BATCHES)
    batches = []
    with connect(request) as connection:
        send(connection, request)
        for _ in range(CPU_BATCHES):
            time.sleep(_SETTLE_S)
            began_s = cpu_s(pid)
            for _ in range(per_batch):
                send(connection, request)
            time.sleep(_SETTLE_S)
            batches.append((cpu_s(pid) - began_s) / per_batch * 1e3)
    return median(batches)


def _figures(
    scenario: Scenario,
    subject: Subject,
    latencies: Mapping[str, Latency],
    cpu_ms: float | None,
    throughput: _Throughput,
) -> Figures:
    own, alone = latencies[subject.name], latencies[UPSTREAM]
    return Figures(
        scenario.name,
        subject.name,
        first_byte_ms=own.first_byte_ms,
        whole_ms=own.whole_ms,
        added_first_byte_ms=own.first_byte_ms - alone.first_byte_ms,
        added_ms=own.whole_ms - alone.whole_ms,
        cpu_ms=cpu_ms,
        requests_per_s=throughput.requests_per_s,
        spread=throughput.spread,
        peak_mb=peak_mb(subject.pid),
        relayed_bytes=throughput.relayed_bytes,
        images_fetched=throughput.images_fetched,
    )


def _received(upstream: Subject) -> dict[str, float]:
    """Return what the upstream received since the last call."""
    return dict(json.loads(_get(upstream, "/received")))


def _get(upstream: Subject, path: str) -> bytes:
    with urllib.request.urlopen(upstream.origin + path, timeout=10) as response:  # noqa: S310 - an origin of our own
        return bytes(response.read())
