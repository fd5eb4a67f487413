"""Metrics as Prometheus reads them (text exposition format 0.0.4), summed over the processes of one server."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obscura.telemetry.metrics import BOUNDS_S, Key

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of one process: sums since it began, and what holds at this instant."""

    counts: dict[Key, float]
    histograms: dict[Key, list[float]]
    gauges: dict[Key, float]


COUNTERS = {
    "obscura_requests": (
        "Requests that have ended: the path as it is documented, the API, the class of the status, the error's code.",
        ("endpoint", "dialect", "status", "code"),
    ),
    "obscura_upstream_calls": (
        "Calls of models by the catalog's name of the upstream and how they ended: ok, cancelled, or an error's code.",
        ("upstream", "result"),
    ),
    "obscura_moderation_results": (
        "Images and pieces of text by what moderation said: clean, flagged, cached (not asked again), unavailable.",
        ("result",),
    ),
    "obscura_images_prepared": ("Images and pages of documents, by the format that was sent.", ("format",)),
    "obscura_image_bytes": ("Bytes of images as they were received and as they were prepared.", ("stage",)),
    "obscura_tokens": (
        "Tokens of answers by the catalog's model: input (cached and image among them) and output.",
        ("model", "kind"),
    ),
}
HISTOGRAMS = {
    "obscura_request_duration_seconds": (
        "From a request's head to its last byte, streams to their end.",
        ("endpoint",),
    ),
    "obscura_time_to_first_byte_seconds": (
        "From a request's head to the first byte of a response's body.",
        ("endpoint",),
    ),
}
GAUGES = {
    "obscura_requests_in_flight": ("Requests that have begun and not ended.", ()),
    "obscura_memory_budget_bytes": ("The memory budget, of all processes together.", ()),
    "obscura_memory_used_bytes": (
        "What of the memory budget is held: by bodies and fetched images, by decoding.",
        ("of",),
    ),
    "obscura_circuits_open": (
        "Processes in which a circuit is open: of an upstream by its name, of a moderation endpoint by its number.",
        ("kind", "name"),
    ),
}


def render(processes: Sequence[Counts]) -> bytes:
    """Return the metrics of all processes together."""
    from prometheus_client.exposition import generate_latest

    return generate_latest(_Collector(processes))


class _Collector:
    """What ``prometheus_client`` asks for families of metrics."""

    def __init__(self, processes: Sequence[Counts]) -> None:
        self._processes = processes

    def collect(self) -> Iterator["Metric"]:
        """Yield every family, those without any sample too."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        counts = _summed([process.counts for process in self._processes])
        for name, (help_text, labels) in COUNTERS.items():
            counter = CounterMetricFamily(name, help_text, labels=labels)
            for key, count in _of(counts, name):
                counter.add_metric(key, count)
            yield counter
        gauges = _summed([process.gauges for process in self._processes])
        for name, (help_text, labels) in GAUGES.items():
            gauge = GaugeMetricFamily(name, help_text, labels=labels)
            for key, value in _of(gauges, name):
                gauge.add_metric(key, value)
            yield gauge
        histograms = _summed_histograms([process.histograms for process in self._processes])
        for name, (help_text, labels) in HISTOGRAMS.items():
            family = HistogramMetricFamily(name, help_text, labels=labels)
            for key, observed in _of(histograms, name):
                family.add_metric(key, _cumulative(observed), sum_value=observed[-1])
            yield family


def _of[T](summed: dict[Key, T], name: str) -> Iterator[tuple[Key, T]]:
    """Yield the samples of a family by their labels."""
    for key in sorted(key for key in summed if key[0] == name):
        yield key[1:], summed[key]


def _summed(processes: Sequence[dict[Key, float]]) -> dict[Key, float]:
    sums: dict[Key, float] = {}
    for process in processes:
        for key, count in process.items():
            sums[key] = sums.get(key, 0) + count
    return sums


def _summed_histograms(processes: Sequence[dict[Key, list[float]]]) -> dict[Key, list[float]]:
    sums: dict[Key, list[float]] = {}
    for process in processes:
        for key, observed in process.items():
            before = sums.get(key)
            sums[key] = observed if before is None else [a + b for a, b in zip(before, observed, strict=True)]
    return sums


def _cumulative(observed: list[float]) -> list[tuple[str, float]]:
    """Return each bound with how many observations are at most as large."""
    total = 0.0
    buckets = []
    for bound, count in zip([*map(repr, BOUNDS_S), "+Inf"], observed[:-1], strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
