"""What ordinary callers get while others attack the gateway: ``python -m benchmarks.attack`` (benchmarks/README.md).

Each attack meets a gateway of its own, ``obscura serve`` with a key and a loopback upstream, started for it. The figure is
how many times as long as alone 99 of 100 requests of a keyed caller take.
"""

import argparse
import json
import os
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
from benchmarks.attack_load.ordinary import TIMEOUT_S, Served, call_for
from benchmarks.attack_load.scenarios import ALONE, SCENARIOS, Scenario
from benchmarks.gateway_load.images import make_images
from benchmarks.gateway_load.processes import cpu_s, free_port, listens_on, peak_mb, running
from benchmarks.gateway_load.requests import Request, post
from benchmarks.gateway_load.subjects import Subject, fake_upstream, obscura_key, obscura_settings

_WARM_UP_S = 0.5
_MIN_LATENCY_MS = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One attack's figures; latencies in ms, ``ratio`` is the worse of text's and image's p99 to the one alone."""

    attack: str
    title: str
    attackers: int
    texts: int
    text_p50_ms: float
    text_p99_ms: float
    images: int
    image_p50_ms: float
    image_p99_ms: float
    ratio: float
    failures: int
    healthz_worst_ms: float
    peak_mb: float
    cpu_s: float
    answers: dict[str, int]
    first_failure: str = ""


def main() -> None:
    """Run the attacks that the command line asks for and print their table."""
    options = _options()
    names = [ALONE, *(name for name in SCENARIOS if name != ALONE and (not options.only or name in options.only))]
    images = make_images(options.cache / "images")
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="obscura-attack-") as scratch,
        fake_upstream(images, Path(scratch)) as upstream,
    ):
        for name in names:
            alone = rows[0] if rows else None
            rows.append(_attack(SCENARIOS[name], upstream, images.small.name, options, Path(scratch), alone))
            print(_line(rows[-1]), flush=True)
    print(f"\n{_table(rows)}")
    if options.markdown:
        options.markdown.write_text(_table(rows) + "\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def _attack(
    scenario: Scenario, upstream: Subject, image: str, options: argparse.Namespace, scratch: Path, alone: Row | None
) -> Row:
    settings = obscura_settings(upstream, scratch / scenario.name) | scenario.settings
    caller_key, attacker_key = obscura_key(settings), obscura_key(settings)
    port = free_port()
    command: list[str | Path] = [sys.executable, "-m", "obscura.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, ready=listens_on(port), log=scratch / f"{scenario.name}.log", env=settings) as pid:
        text, small, probe = _requests(port, caller_key)
        uvloop.run(call_for(text, small, probe, _WARM_UP_S))
        order = Order(
            list(scenario.kinds), scenario.attackers, options.seconds, port, attacker_key, upstream.origin, f"/{image}",
            str(options.cache / "images"),
        )  # fmt: skip
        with _attackers(order) as attackers:
            cpu_before_s = cpu_s(pid)
            if attackers:
                _start(attackers)
            texts, images, probes = uvloop.run(call_for(text, small, probe, options.seconds))
            answers = json.loads(attackers.communicate(timeout=30)[0]) if attackers else {}
            used_s, peak = cpu_s(pid) - cpu_before_s, peak_mb(pid) or 0.0
    return _row(scenario, texts, images, probes, used_s, peak, answers, alone)


def _row(
    scenario: Scenario,
    texts: Served,
    images: Served,
    probes: Served,
    used_s: float,
    peak: float,
    answers: dict[str, int],
    alone: Row | None,
) -> Row:
    text_p99_ms, image_p99_ms = _p99_ms(texts), _p99_ms(images)
    ratio = 1.0
    if alone:
        ratio = max(text_p99_ms / max(alone.text_p99_ms, _MIN_LATENCY_MS), image_p99_ms / max(alone.image_p99_ms, 1.0))
    failures = texts.failures + images.failures
    return Row(
        scenario.name, scenario.title, scenario.attackers,
        len(texts.latencies_ms), texts.percentile_ms(0.5), text_p99_ms,
        len(images.latencies_ms), images.percentile_ms(0.5), image_p99_ms,
        ratio, len(failures), probes.worst_ms, peak, used_s, answers, failures[0] if failures else "",
    )  # fmt: skip


def _p99_ms(served: Served) -> float:
    """Return the p99 in which a failed request counts as one that took the time-out."""
    return Served(served.latencies_ms + [TIMEOUT_S * 1e3] * len(served.failures)).percentile_ms(0.99)


def _requests(port: int, key: str) -> tuple[Request, Request, Request]:
    url, headers = f"http://127.0.0.1:{port}", (("authorization", f"Bearer {key}"),)
    image = image_part(data_url(small_image(), "image/png"))
    text = post(f"{url}/v1/chat/completions", headers, chat("What is an aperture?"), streamed=False)
    small = post(f"{url}/v1/chat/completions", headers, chat([image]), streamed=False)
    probe = Request("127.0.0.1", port, b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", streamed=False)
    return text, small, probe


@contextmanager
def _attackers(order: Order) -> Iterator[subprocess.Popen[str] | None]:
    if not order.attackers:
        yield None
        return
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
    time.sleep(0.3)  # the attack is under way before the first ordinary request


_HEAD = (
    "attack", "attackers", "text served", "p50 ms", "p99 ms", "image served", "p50 ms", "p99 ms", "x alone", "failed",
    "/healthz worst ms", "peak MB", "CPU s", "attackers' answers",
)  # fmt: skip


def _cells(row: Row) -> list[str]:
    answers = ", ".join(f"{status}: {times}" for status, times in sorted(row.answers.items()))
    return [
        row.title, str(row.attackers),
        str(row.texts), f"{row.text_p50_ms:.1f}", f"{row.text_p99_ms:.1f}",
        str(row.images), f"{row.image_p50_ms:.1f}", f"{row.image_p99_ms:.1f}",
        f"{row.ratio:.1f}", str(row.failures), f"{row.healthz_worst_ms:.0f}", f"{row.peak_mb:.0f}", f"{row.cpu_s:.1f}",
        answers or "none",
    ]  # fmt: skip


def _line(row: Row) -> str:
    failed = f"  first failure: {row.first_failure}" if row.first_failure else ""
    return f"{row.attack:15} {' | '.join(_cells(row)[2:])}{failed}"


def _table(rows: list[Row]) -> str:
    lines = [_HEAD, ["---", *["---:"] * (len(_HEAD) - 2), "---"], *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _options() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "obscura-benchmarks"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each attack (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=[name for name in SCENARIOS if name != ALONE], metavar="NAME")
    parser.add_argument("--cache", type=Path, default=cache, help="folder for images and bodies (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
