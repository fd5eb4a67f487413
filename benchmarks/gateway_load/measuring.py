"""One run over scenarios and subjects, all of them up at the same time and none loaded while another is."""

import json
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.gateway_load.images import Images
from benchmarks.gateway_load.in_flight import requests_per_s
from benchmarks.gateway_load.memory import peak_mb, reset_peak
from benchmarks.gateway_load.one_at_a_time import Latency, take_turns
from benchmarks.gateway_load.requests import Request, Scenario, request_for
from benchmarks.gateway_load.response_reader import Refused
from benchmarks.gateway_load.subjects import UPSTREAM, Subject


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: rounds of throughput, and the share of each scenario's own runs and seconds."""

    rounds: int
    share: float


FULL, QUICK = Effort(rounds=3, share=1), Effort(rounds=1, share=0.25)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one subject did in one scenario; ``refused`` says why there is nothing but that.

    ``spread`` is the best round's throughput over the worst's: well over 1, the machine was not quiet.
    """

    scenario: str
    subject: str
    first_byte_ms: float = 0
    whole_ms: float = 0
    added_first_byte_ms: float = 0
    added_ms: float = 0
    requests_per_s: float = 0
    spread: float = 1
    peak_mb: float | None = None
    relayed_bytes: int = 0
    images_fetched: bool = False
    refused: str = ""


def measure(scenario: Scenario, subjects: Sequence[Subject], images: Images, effort: Effort) -> list[Figures]:
    """Return the figures of each subject; the first is the upstream alone, which the others are compared with."""
    upstream = subjects[0]
    origin = upstream.target.base_url.removesuffix("/v1")
    requests = {one.name: request_for(scenario.name, one.target, images, origin) for one in subjects}
    refusals: dict[str, str] = {}
    for subject in subjects:
        if subject.pid is not None:
            reset_peak(subject.pid)
        try:
            take_turns({subject.name: requests[subject.name]}, runs=2, warm_up=1)
        except (Refused, OSError) as error:
            if subject is upstream:
                raise
            refusals[subject.name] = str(error)
    asked = {name: request for name, request in requests.items() if name not in refusals}
    runs = max(5, round(scenario.runs * effort.share))
    latencies = take_turns(asked, runs=runs, warm_up=max(3, runs // 10))
    throughputs = _throughputs(asked, scenario, effort, origin)
    figures = [Figures(scenario.name, name, refused=why) for name, why in refusals.items()]
    measured = [subject for subject in subjects if subject.name in asked]
    return figures + [_figures(scenario, one, latencies, throughputs[one.name]) for one in measured]


@dataclass(frozen=True, slots=True)
class _Throughput:
    requests_per_s: float
    spread: float
    relayed_bytes: int
    fetched: bool


def _throughputs(asked: dict[str, Request], scenario: Scenario, effort: Effort, origin: str) -> dict[str, _Throughput]:
    rates: dict[str, list[float]] = {name: [] for name in asked}
    work: dict[str, dict[str, int]] = {}
    for _ in range(effort.rounds):
        for name, request in asked.items():
            requests_per_s(request, for_s=0.3)
            _seen(origin)
            rates[name].append(requests_per_s(request, for_s=max(1.0, scenario.load_s * effort.share)))
            work[name] = _seen(origin)
            print(f"  {scenario.name:5} {name:16} {rates[name][-1]:9.1f} requests/s", file=sys.stderr)
    return {
        name: _Throughput(
            median(rates[name]),
            max(rates[name]) / min(rates[name]),
            work[name]["received_bytes"] // max(1, work[name]["completions"]),
            work[name]["images_fetched"] > 0,
        )
        for name in asked
    }


def _figures(scenario: Scenario, subject: Subject, latencies: dict[str, Latency], throughput: _Throughput) -> Figures:
    own, alone = latencies[subject.name], latencies[UPSTREAM]
    return Figures(
        scenario.name,
        subject.name,
        first_byte_ms=own.first_byte_ms,
        whole_ms=own.whole_ms,
        added_first_byte_ms=own.first_byte_ms - alone.first_byte_ms,
        added_ms=own.whole_ms - alone.whole_ms,
        requests_per_s=throughput.requests_per_s,
        spread=throughput.spread,
        peak_mb=peak_mb(subject.pid),
        relayed_bytes=throughput.relayed_bytes,
        images_fetched=throughput.fetched,
    )


def _seen(origin: str) -> dict[str, int]:
    """Ask the upstream what it was sent since it was last asked."""
    with urllib.request.urlopen(f"{origin}/seen", timeout=10) as answer:  # noqa: S310 - an origin of our own
        return dict(json.load(answer))
