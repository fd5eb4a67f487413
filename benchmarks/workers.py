"""Text throughput of ``obscura serve --workers``: ``python -m benchmarks.workers [--workers 1 2] [--rounds N]``.

All subjects run at once, with the same upstream, and are loaded in turns, so that drift hits them alike. Throughput
grows only as far as cores are free: beside requests per second stand the cores that a subject used, those that all
others on this machine used meanwhile, client and upstream among them, the CPU time of a request, and the part of the
busiest worker in it. Requests that cost the same, evenly spread, on N free cores are N times as many.
"""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.gateway_load.client import requests_per_s
from benchmarks.gateway_load.images import Images, make_images
from benchmarks.gateway_load.processes import children, cpu_s, free_port, running
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
        rounds: dict[int, list[Round]] = {count: [] for count in subjects}
        for _ in range(chosen.rounds):
            for count, (request, pid) in subjects.items():
                rounds[count].append(measured(request, pid))
        for count, each in rounds.items():
            print(
                f"{count} workers: {median(one.requests_per_s for one in each):5.0f} requests/s on "
                f"{median(one.cores for one in each):.2f} cores, others on "
                f"{median(one.cores_of_others for one in each):.2f} of {os.cpu_count()}; "
                f"{median(one.ms_each for one in each):.2f} ms of CPU each, "
                f"{median(one.busiest for one in each):.0%} of it by the busiest worker"
            )


@dataclass(frozen=True, slots=True)
class Round:
    """One load of one server; ``cores`` are CPU seconds a second, ``busiest`` is a part of them."""

    requests_per_s: float
    cores: float
    cores_of_others: float
    ms_each: float
    busiest: float


def measured(request: Request, pid: int) -> Round:
    """Load a server for ``ROUND_S``."""
    began_s, machine_began_s = perf_counter(), _machine_cpu_s()
    cpu_began_s = {one: cpu_s(one) for one in (pid, *children(pid))}
    rate = requests_per_s(request, for_s=ROUND_S)
    lasted_s = perf_counter() - began_s
    used_s = {one: cpu_s(one) - began for one, began in cpu_began_s.items()}
    whole_s = used_s.pop(pid)
    others = (_machine_cpu_s() - machine_began_s - whole_s) / lasted_s
    busiest = max(used_s.values(), default=whole_s) / whole_s
    return Round(rate, whole_s / lasted_s, others, 1000 * whole_s / lasted_s / rate, busiest)


def _machine_cpu_s() -> float:
    """Return the CPU seconds of all processes since the machine started, but for those idle (``cpu``, proc_stat(5))."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + sum(rest[:2])) / os.sysconf("SC_CLK_TCK")


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
    log = folder / f"workers-{count}.log"

    def is_ready() -> bool:
        return "serves on" in log.read_text()  # before that its port accepts connections, but no worker does

    pid = stack.enter_context(running(command, ready=is_ready, log=log, env=settings))
    target = Target(f"http://127.0.0.1:{port}/v1", headers=headers)
    return request_for("text", target, images, upstream.origin), pid


if __name__ == "__main__":
    main()
