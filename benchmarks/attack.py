"""What ordinary callers get while others attack the gateway: ``python -m benchmarks.attack`` (benchmarks/README.md).

Each attack meets a gateway of its own, ``obscura serve`` with a key and a loopback upstream, started for it. The figure
is how many times as long as alone 99 of 100 requests of a keyed caller take.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from benchmarks.attack_load.attackers import Order
from benchmarks.attack_load.bodies import chat, data_url, image_part, small_image
from benchmarks.attack_load.ordinary import call_for
from benchmarks.attack_load.report import Measured, figures, line, measured, table
from benchmarks.attack_load.scenarios import ALONE, SCENARIOS, Scenario
from benchmarks.gateway_load.images import make_images
from benchmarks.gateway_load.processes import cpu_s, free_port, listens_on, peak_mb, running
from benchmarks.gateway_load.requests import Request, post
from benchmarks.gateway_load.subjects import Subject, fake_upstream, obscura_key, obscura_settings

_WARM_UP_S = 0.5
_HEAD_START_S = 0.3
"""The attack is under way before the first ordinary request."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all attacks share: the upstream, a data directory with the callers' key and the attackers', the bodies."""

    upstream: Subject
    image_path: str
    data_dir: Path
    caller_key: str
    attacker_key: str
    seconds: float
    folder: Path


def main() -> None:
    """Run the attacks that the command line asks for and print their table."""
    options = _options()
    names = [ALONE, *(name for name in SCENARIOS if name != ALONE and (not options.only or name in options.only))]
    folder = options.cache / "images"
    images = make_images(folder)
    results: list[Measured] = []
    started_at_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="obscura-attack-") as scratch,
        fake_upstream(images, Path(scratch)) as upstream,
    ):
        data_dir = Path(scratch) / "keys"
        settings = obscura_settings(upstream, data_dir)
        keys = obscura_key(settings), obscura_key(settings)
        setup = Setup(upstream, f"/{images.small.name}", data_dir, *keys, options.seconds, folder)
        for name in names:
            results.append(_attack(SCENARIOS[name], setup))
            results[-1].compare(results[0])
            print(line(results[-1]), flush=True)
    print(f"\n{table(results)}\n\n{time.monotonic() - started_at_s:.0f} s in all, {os.cpu_count()} cores")
    if options.markdown:
        options.markdown.write_text(table(results) + "\n")
    if options.json:
        options.json.write_text(json.dumps([figures(one) for one in results], indent=2) + "\n")


def _attack(scenario: Scenario, setup: Setup) -> Measured:
    data_dir = setup.data_dir.with_name(scenario.name)
    shutil.copytree(setup.data_dir, data_dir)
    settings = obscura_settings(setup.upstream, data_dir) | dict(scenario.settings)
    port = free_port()
    command = [sys.executable, "-m", "obscura.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, ready=listens_on(port), log=data_dir.with_suffix(".log"), env=settings) as pid:
        requests = _requests(port, setup.caller_key)
        uvloop.run(call_for(*requests, _WARM_UP_S))
        with _attackers(scenario, setup, port) as attackers:
            cpu_before_s = cpu_s(pid)
            if attackers:
                _start(attackers)
            served = uvloop.run(call_for(*requests, setup.seconds))
            answers: dict[str, int] = json.loads(attackers.communicate(timeout=30)[0]) if attackers else {}
            return measured(scenario, served, (peak_mb(pid) or 0.0, cpu_s(pid) - cpu_before_s), answers)


def _requests(port: int, key: str) -> tuple[Request, Request, Request]:
    url, headers = f"http://127.0.0.1:{port}", (("authorization", f"Bearer {key}"),)
    image = image_part(data_url(small_image(), "image/png"))
    text = post(f"{url}/v1/chat/completions", headers, chat("What is an aperture?"), streamed=False)
    small = post(f"{url}/v1/chat/completions", headers, chat([image]), streamed=False)
    probe = Request("127.0.0.1", port, b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", streamed=False)
    return text, small, probe


@contextmanager
def _attackers(scenario: Scenario, setup: Setup, port: int) -> Iterator[subprocess.Popen[str] | None]:
    if not scenario.attackers:
        yield None
        return
    order = Order(
        list(scenario.kinds),
        scenario.attackers,
        setup.seconds,
        port,
        setup.attacker_key,
        setup.upstream.origin + setup.image_path,
        str(setup.folder),
    )
    command = [sys.executable, "-m", "benchmarks.attack_load.attackers", json.dumps(asdict(order))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("the attackers did not start")
            yield process
        finally:
            process.kill()


def _start(process: subprocess.Popen[str]) -> None:
    if process.stdin is None:
        raise RuntimeError("the attackers have no standard input")
    process.stdin.write("go\n")
    process.stdin.flush()
    time.sleep(_HEAD_START_S)


def _options() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "obscura-benchmarks"
    attacks = [name for name in SCENARIOS if name != ALONE]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.5, help="of each attack (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=attacks, metavar="NAME", help=", ".join(attacks))
    parser.add_argument("--cache", type=Path, default=cache, help="folder for images and bodies (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
