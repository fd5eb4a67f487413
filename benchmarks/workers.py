"""Text throughput of ``obscura serve --workers``: ``python -m benchmarks.workers [--workers 1 2] [--rounds N]``.

All subjects run at once, with the same upstream, and are loaded in turns, so that drift hits them alike. Client and
upstream take a part of the same cores: beside requests per second stands what a subject's CPU time would serve on as
many cores as it has workers, and what it used of them.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.gateway_load.client import requests_per_s
from benchmarks.gateway_load.images import Images, make_images
from benchmarks.gateway_load.processes import cpu_s, free_port, listens_on, running
from benchmarks.gateway_load.requests import Request, Target, request_for
from benchmarks.gateway_load.subjects import Subject, fake_upstream, obscura_key, obscura_settings

ROUND_S = 2.0
WARM_UP_S = 1.0


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--rounds", type=int, default=15)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        images = make_images(folder)
        upstream = stack.enter_context(fake_upstream(images, folder))
        subjects = {count: _obscura(stack, upstream, folder, count, images) for count in chosen.workers}
        for request, _ in subjects.values():
            requests_per_s(request, for_s=WARM_UP_S)
        figures: dict[int, list[tuple[float, float]]] = {count: [] for count in subjects}
        for _ in range(chosen.rounds):
            for count, (request, pid) in subjects.items():
                began_s, cpu_began_s = perf_counter(), cpu_s(pid)
                rate = requests_per_s(request, for_s=ROUND_S)
                figures[count].append((rate, (cpu_s(pid) - cpu_began_s) / (perf_counter() - began_s)))
        for count, measured in figures.items():
            rate, cores = median(rate for rate, _ in measured), median(cores for _, cores in measured)
            print(f"{count} workers: {rate:7.0f} requests/s, {cores:.2f} cores used, {1000 * cores / rate:.2f} ms each")


def _obscura(stack: ExitStack, upstream: Subject, folder: Path, count: int, images: Images) -> tuple[Request, int]:
    """Start a server; returns a request to it and its process id."""
    settings = obscura_settings(upstream, folder / f"workers-{count}")
    headers = (("authorization", f"Bearer {obscura_key(settings)}"),)
    port = free_port()
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "obscura.cli",
        "serve",
        "--port",
        str(port),
        "--workers",
        str(count),
    ]
    pid = stack.enter_context(
        running(command, ready=listens_on(port), log=folder / f"workers-{count}.log", env=settings)
    )
    target = Target(f"http://127.0.0.1:{port}/v1", headers=headers)
    return request_for("text", target, images, upstream.origin), pid


if __name__ == "__main__":
    main()
