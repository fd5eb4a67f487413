"""What Obscura adds to a model's answer, beside other gateways and beside the physical limit, in one run.

``python -m benchmarks.gateway --help`` says how to run it, ``benchmarks/README.md`` how to read it.
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
from benchmarks.gateway_load.measuring import FULL, QUICK, Figures, measure
from benchmarks.gateway_load.peers import PEERS
from benchmarks.gateway_load.report import table
from benchmarks.gateway_load.requests import SCENARIOS, ScenarioName, Target
from benchmarks.gateway_load.subjects import Subject, fake_upstream, obscura


def main() -> None:
    """Run what the command line asks for and print it."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    cache: Path = asked.cache
    images = make_images(cache / "images")
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"images, the same for all: {images.described()}\n")
    report: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="obscura-benchmark-") as scratch:
        if "load" in asked.parts:
            report["load"] = [asdict(one) for one in _load(asked, images, Path(scratch))]
        if "lag" in asked.parts:
            with fake_upstream(images, Path(scratch)) as upstream:
                measured = lag.measure(upstream, images, Path(scratch))
            print(f"\n{lag.described(measured)}")
            report["lag"] = asdict(measured)
    if "steps" in asked.parts:
        shares = steps.measure(images, quick=asked.quick)
        print(f"\n{steps.table(shares)}")
        report["steps"] = [asdict(one) for one in shares]
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=2) + "\n")


def _load(asked: argparse.Namespace, images: Images, scratch: Path) -> list[Figures]:
    with ExitStack() as running:
        upstream = running.enter_context(fake_upstream(images, scratch, asked.upstream_port))
        subjects = [upstream]
        if not asked.without_obscura:
            subjects.append(running.enter_context(obscura(upstream, scratch)))
        subjects += [running.enter_context(PEERS[name](upstream, asked.cache, scratch)) for name in asked.peer]
        if asked.against:
            headers = (("authorization", f"Bearer {asked.key}"), *(tuple(one.split(":", 1)) for one in asked.header))
            subjects.append(Subject("against", Target(asked.against, asked.model, headers), asked.pid, asked.against))
        effort = QUICK if asked.quick else FULL
        names: list[ScenarioName] = asked.scenarios
        figures = [one for name in names for one in measure(SCENARIOS[name], subjects, images, effort)]
    print(table(figures, subjects, names))
    return figures


def _arguments() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "obscura-benchmarks"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the runs: for a look, not for a claim")
    parser.add_argument("--scenarios", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--parts", nargs="+", choices=["load", "lag", "steps"], default=["load", "lag", "steps"])
    parser.add_argument("--peer", action="append", choices=list(PEERS), default=[], help="install if need be, and run")
    parser.add_argument("--without-obscura", action="store_true", help="measure only the others")
    against = parser.add_argument_group("any gateway that runs already, with http://127.0.0.1:PORT/v1 as its upstream")
    against.add_argument("--against", metavar="URL", help="its base URL, ending in /v1")
    against.add_argument("--upstream-port", type=int, metavar="PORT", help="where that gateway expects the upstream")
    against.add_argument("--key", default="none")
    against.add_argument("--model", default="bench")
    against.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    against.add_argument("--pid", type=int, help="its process, for its peak memory")
    parser.add_argument("--cache", type=Path, default=cache, help="where images and peers are kept (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
