"""The counts of requests, from their access records: plain numbers in dicts (ADR 190).

``prometheus_client``'s own counters would take 20 to 45 µs a request; it renders these, and is loaded for that alone.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from time import perf_counter
from typing import TYPE_CHECKING

from obscura import errors
from obscura.access_record import AccessRecord

if TYPE_CHECKING:
    from starlette.types import Scope

type Key = tuple[str, ...]
"""The name of a family of ``exposition.FAMILIES``, and the values of its labels."""

BOUNDS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""The upper bounds of both histograms: from an error at once to the longest answer that Lambda could give."""

OTHER = "other"
"""In place of a value that callers or upstreams could invent any number of."""
DEFAULT_UPSTREAM = "default"
"""The upstream of the settings, which has no name."""

_CODES = {code for kind in vars(errors).values() if (code := getattr(kind, "code", None))} | {
    "method_not_allowed", "policy_blocked", "policy_not_found", "version_conflict", "unsupported_operation",
}  # fmt: skip
_CLASSES = {number: f"{number}xx" for number in range(1, 6)}
_BLOCKS = frozenset({"moderation_blocked", "policy_blocked"})
"""What ends a response that has begun without a failure of the upstream's."""
_CALL_RESULTS = _CODES | {"ok", "cancelled"}


class Metrics:
    """The counts of one process. Requests are counted on its event loop; any thread may read them."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self.counts: dict[Key, float] = defaultdict(float)
        self.histograms: dict[Key, list[float]] = defaultdict(_no_observations)
        """The observations up to each bound, past the last one, and their sum."""
        self.in_flight = 0
        self.named_models: Collection[str] = frozenset()
        self.read_gauges: Callable[[], Mapping[Key, float]] = dict

    def began(self, _record: AccessRecord, _scope: "Scope") -> None:
        """Count a request that begins."""
        self.in_flight += 1

    def ended(self, record: AccessRecord) -> None:
        """Count a request that has ended; some 5 µs, for which little here is a function."""
        self.in_flight -= 1
        code = "" if record.code is None else known_code(record.code)
        endpoint = record.endpoint or OTHER
        self.counts["obscura_requests", endpoint, record.dialect or "", status_class(record.status), code] += 1
        elapsed_s = perf_counter() - record.began_s
        observed = self.histograms["obscura_request_duration_seconds", endpoint]
        observed[bisect_left(BOUNDS_S, elapsed_s)] += 1
        observed[-1] += elapsed_s
        if record.first_byte_ms is not None:
            first_byte_s = record.first_byte_ms / 1000
            observed = self.histograms["obscura_time_to_first_byte_seconds", endpoint]
            observed[bisect_left(BOUNDS_S, first_byte_s)] += 1
            observed[-1] += first_byte_s
        if record.dialect is not None:
            self._count_work(record, code)

    def gauges(self) -> dict[Key, float]:
        """Return what holds at this instant."""
        return {("obscura_requests_in_flight",): self.in_flight, **self.read_gauges()}

    def _count_work(self, record: AccessRecord, code: str) -> None:
        counts = self.counts
        calls = record.upstream_calls
        if calls:
            for upstream, result in calls[:-1]:
                counts["obscura_upstream_calls", upstream or DEFAULT_UPSTREAM, _call_result(result)] += 1
            upstream, result = calls[-1]
            broke_off = result == "ok" and code and code not in _BLOCKS
            counts[
                "obscura_upstream_calls", upstream or DEFAULT_UPSTREAM, code if broke_off else _call_result(result)
            ] += 1
        if record.clean_verdicts:
            counts["obscura_moderation_results", "clean"] += record.clean_verdicts
        if record.flagged_verdicts:
            counts["obscura_moderation_results", "flagged"] += record.flagged_verdicts
        if record.cached_verdicts:
            counts["obscura_moderation_results", "cached"] += record.cached_verdicts
        if code == "moderation_unavailable":
            counts["obscura_moderation_results", "unavailable"] += 1
        for image in record.images:
            counts["obscura_images_prepared", image.format] += 1
            counts["obscura_image_bytes", "received"] += image.bytes_before
            counts["obscura_image_bytes", "prepared"] += image.bytes_after
        if record.input_tokens or record.output_tokens:
            model = record.model
            if model is None or model not in self.named_models:
                model = OTHER
            counts["obscura_tokens", model, "input"] += record.input_tokens
            counts["obscura_tokens", model, "output"] += record.output_tokens
            if record.cached_tokens:
                counts["obscura_tokens", model, "cached"] += record.cached_tokens
            if record.image_tokens:
                counts["obscura_tokens", model, "image"] += record.image_tokens


def _no_observations() -> list[float]:
    return [0.0] * (len(BOUNDS_S) + 2)


def known_code(code: str) -> str:
    """Return an error's code if it is one of the gateway's own; an upstream's own codes could be any text."""
    return code if code in _CODES else OTHER


def status_class(status: int) -> str:
    """Return the class of a status, such as ``2xx``; without a response the request was aborted."""
    return _CLASSES.get(status // 100, "none")


def _call_result(result: str) -> str:
    return result if result in _CALL_RESULTS else OTHER
