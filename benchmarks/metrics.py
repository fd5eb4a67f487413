"""What counting one request for ``/metrics`` costs: ``python -m benchmarks.metrics [--requests N]``; the aim is 10 µs.

The median and the least of 30 runs over one access record, of a chat with an image: the request is seen as it begins
and as it ends (ADR 190).
"""

import argparse
from statistics import median
from time import perf_counter

from obscura.access_record import AccessRecord, ImageRecord
from obscura.telemetry.metrics import Metrics

AIM_US = 10
RUNS = 30


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=2000, help="requests of a run")
    requests = arguments.parse_args().requests
    metrics = Metrics()
    runs = [_per_request_us(metrics, requests) for _ in range(RUNS)]
    print(f"{median(runs):.1f} µs a request, {min(runs):.1f} at least; the aim is {AIM_US}")


def _per_request_us(metrics: Metrics, requests: int) -> float:
    record = AccessRecord("req_1", dialect="chat", endpoint="/v1/chat/completions", model="m", status=200)
    record.images = [ImageRecord("JPEG", 900, 300, "4000x3000", "1280x960", 100)]
    record.clean_verdicts, record.input_tokens, record.output_tokens = 2, 1, 1
    record.upstream_calls = [("one", "ok")]
    began_s = perf_counter()
    for _ in range(requests):
        metrics.began(record, {})
        metrics.ended(record)
    return (perf_counter() - began_s) / requests * 1e6


if __name__ == "__main__":
    main()
