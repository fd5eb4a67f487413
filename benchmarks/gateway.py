"""What Obscura adds to a model's answer, beside other gateways, the commit before and the physical limit, in one run.

``python -m benchmarks.gateway --help`` lists the options, ``benchmarks/README.md`` explains the figures.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks.gateway_load import lag, steps
from benchmarks.gateway_load.images import Images, make_images
from benchmarks.gateway_load.measure import FULL, QUICK, measure, measure_links
from benchmarks.gateway_load.page import Run, run_from_json, write_page
from benchmarks.gateway_load.peers import PEERS
from benchmarks.gateway_load.report import table
from benchmarks.gateway_load.requests import MODEL, SCENARIOS, ScenarioName, Target
from benchmarks.gateway_load.subjects import Subject, fake_upstream, obscura

PARTS = ("load", "links", "lag", "steps")


def main() -> None:
    """Run what the command line asks for and print it."""
    options = _options()
    if options.from_json:
        write_page(run_from_json(options.from_json), options.markdown)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    images = make_images(options.cache / "images")
    print(f"{_machine()}\nimages, the same for all: {images.described()}\n")
    report: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="obscura-benchmark-") as scratch:
        if {"load", "links"} & set(options.parts):
            run = _compare(options, images, Path(scratch))
            report["run"] = run.to_json()
            if options.markdown:
                write_page(run, options.markdown)
        if "lag" in options.parts:
            with fake_upstream(images, Path(scratch)) as upstream:
                loop_lag = lag.measure(upstream, images, Path(scratch))
            print(f"\n{lag.described(loop_lag)}")
            report["lag"] = asdict(loop_lag)
    if "steps" in options.parts:
        shares = steps.measure(images, quick=options.quick)
        print(f"\n{steps.table(shares)}")
        report["steps"] = [asdict(one) for one in shares]
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def _compare(options: argparse.Namespace, images: Images, scratch: Path) -> Run:
    """Run all subjects side by side and print their table."""
    effort = QUICK if options.quick else FULL
    names: list[ScenarioName] = options.scenarios
    with ExitStack() as running:
        upstream = running.enter_context(fake_upstream(images, scratch, options.upstream_port))
        subjects = [upstream]
        if not options.without_obscura:
            subjects.append(running.enter_context(obscura(upstream, scratch)))
        if options.against:
            subjects.append(running.enter_context(obscura(upstream, scratch, options.against)))
        peers = PEERS if options.all_peers else options.peer
        subjects += [running.enter_context(PEERS[name](upstream, options.cache, scratch)) for name in peers]
        if options.gateway_url:
            headers = (
                ("authorization", f"Bearer {options.key}"),
                *(tuple(one.split(":", 1)) for one in options.header),
            )
            target = Target(options.gateway_url, options.model, headers)
            subjects.append(Subject("running gateway", target, options.pid, options.gateway_url))
        load = []
        if "load" in options.parts:
            load = [one for name in names for one in measure(SCENARIOS[name], subjects, images, effort)]
        inline: list[ScenarioName] = [name for name in names if name in {"1mb", "10mb"}]
        links = measure_links(inline, subjects, images, effort) if "links" in options.parts else []
    if load:
        print(table(load, subjects, names))
    for one in links:
        print(f"{one.scenario:>5} over {one.mbit_per_s:>4} Mbit/s  {one.subject:16} {one.complete_s:7.3f} s")
    versions = {subject.name: subject.version for subject in subjects}
    return Run(_machine(), images.described(), effort, versions, load, links)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}, Python {platform.python_version()}"


def _options() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "obscura-benchmarks"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the runs: for a look, not for a claim")
    parser.add_argument("--scenarios", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peer", action="append", choices=list(PEERS), default=[], help="install if need be, and run")
    parser.add_argument("--all-peers", action="store_true", help="all of them")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="run Obscura of another checkout as well")
    parser.add_argument("--without-obscura", action="store_true", help="measure only the others")
    running = parser.add_argument_group("any running gateway, with http://127.0.0.1:PORT/v1 as its upstream")
    running.add_argument("--gateway-url", metavar="URL", help="its base URL, ending in /v1")
    running.add_argument("--upstream-port", type=int, metavar="PORT", help="the port of its upstream")
    running.add_argument("--key", default="none")
    running.add_argument("--model", default=MODEL)
    running.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    running.add_argument("--pid", type=int, help="its process, for its CPU and its peak memory")
    parser.add_argument("--cache", type=Path, default=cache, help="folder for images and peers (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there as well")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the tables into a page, docs/benchmark.md")
    parser.add_argument("--from-json", type=Path, metavar="FILE", help="run nothing: write FILE's tables into the page")
    options = parser.parse_args()
    if options.from_json and not options.markdown:
        parser.error("--from-json needs --markdown")
    return options


if __name__ == "__main__":
    main()
