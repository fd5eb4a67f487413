"""Writes the figures as Markdown between the marks of docs/benchmark.md."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.gateway_load.measure import Effort, Figures, LinkFigures
from benchmarks.gateway_load.report import UNSTEADY, peak_of, relayed
from benchmarks.gateway_load.requests import SCENARIOS
from benchmarks.gateway_load.subjects import UPSTREAM

BEGIN, END = "<!-- figures: written by python -m benchmarks.gateway --markdown -->", "<!-- end of the figures -->"

_LINK_NAMES = {100: "100 Mbit/s", 1000: "1 Gbit/s"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run's subjects by name with their versions, its figures and its circumstances."""

    machine: str
    images: str
    effort: Effort
    versions: dict[str, str]
    load: list[Figures]
    links: list[LinkFigures]

    def to_json(self) -> dict[str, object]:
        """Return the run as JSON values."""
        return asdict(self)


def run_from_json(path: Path) -> Run:
    """Read the run that ``--json`` wrote."""
    run: dict[str, Any] = json.loads(path.read_text())["run"]
    return Run(
        run["machine"],
        run["images"],
        Effort(**run["effort"]),
        run["versions"],
        [Figures(**one) for one in run["load"]],
        [LinkFigures(**one) for one in run["links"]],
    )


def write_page(run: Run, page: Path) -> None:
    """Replace what stands between the marks of a page by the run's tables."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the line {BEGIN if not begin else END}")
    page.write_text(f"{before}{BEGIN}\n\n{tables(run)}\n\n{END}{after}")


def tables(run: Run) -> str:
    """Return the run as Markdown tables: a row per gateway."""
    gateways = [name for name in run.versions if name != UPSTREAM]
    by_key = {(one.scenario, one.subject): one for one in run.load}
    scenarios = [name for name in SCENARIOS if any(one.scenario == name for one in run.load)]
    titles = [SCENARIOS[name].title for name in scenarios]

    def rows(names: Sequence[str], cell: Callable[[Figures], str]) -> list[list[str]]:
        return [[name, *(_cell(by_key.get((scenario, name)), cell) for scenario in scenarios)] for name in names]

    streamed = ["SSE, first byte"] if "sse" in scenarios else []
    latency = rows(gateways, lambda one: f"{one.added_ms:+{_precision(one.added_ms)}}")
    alone = rows([UPSTREAM], lambda one: f"({one.whole_ms:{_precision(one.whole_ms)}})")
    for row, name in zip([*latency, *alone], [*gateways, UPSTREAM], strict=True):
        if streamed:
            row.append(_cell(by_key.get(("sse", name)), _alone_first if name == UPSTREAM else _added_first))
    peaks = [[name, f"{peak:,.0f}"] for name in gateways if (peak := peak_of(run.load, name))]
    parts = [
        f"{run.machine}. {_versions(run)} Rounds of throughput: {run.effort.rounds}.",
        f"The images: {run.images}.",
        "**Added latency, one request at a time** (median ms over the upstream alone, whose own time is in brackets)",
        _table(["", *titles, *streamed], [*latency, *alone]),
        "**CPU of the gateway's process, one request at a time** (ms per request)",
        _table(["", *titles], rows(gateways, _cpu)),
        "**Throughput, 16 requests in flight** (requests/s; client, gateway and upstream share the cores)",
        _table(["", *titles], rows([*gateways, UPSTREAM], _rate)),
        "**What the upstream receives for one request**",
        _table(["", *titles], rows(gateways, relayed)),
        *_links(run, gateways),
        "**Peak resident memory of the run** (MB)",
        _table(["", "MB"], peaks),
        *_notes(run),
    ]
    return "\n\n".join(parts)


def _links(run: Run, gateways: Sequence[str]) -> list[str]:
    seconds = {(one.scenario, one.mbit_per_s, one.subject): one.complete_s for one in run.links}
    columns = sorted({(one.scenario, one.mbit_per_s) for one in run.links}, key=lambda one: (len(one[0]), one))
    if not columns:
        return []
    rows = []
    for name in [*gateways, UPSTREAM]:
        cells = [seconds.get((scenario, mbit, name)) for scenario, mbit in columns]
        rows.append([name, *("error" if cell is None else f"{cell:.2f}" for cell in cells)])
    headings = [f"{SCENARIOS[scenario].title}, {_LINK_NAMES.get(mbit, mbit)}" for scenario, mbit in columns]
    title = "**Time until the upstream has the whole request** (s, over a link of that rate)"
    return [title, _table(["", *headings], rows)]


def _notes(run: Run) -> list[str]:
    failed = [one for one in run.load if one.error]
    notes = [f"- {one.subject}, {SCENARIOS[one.scenario].title}: {_one_line(one.error)}" for one in failed]
    if any(one.spread > UNSTEADY for one in run.load):
        notes.append("- ~: the rounds differ by more than a quarter, so the machine was not quiet.")
    return ["\n".join(notes)] if notes else []


def _versions(run: Run) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.versions.items() if version) + "."


def _one_line(text: str) -> str:
    return " ".join(text.split())[:160].replace("|", "\\|")


def _precision(value_ms: float) -> str:
    return ".2f" if abs(value_ms) < 10 else ".1f" if abs(value_ms) < 100 else ".0f"


def _alone_first(one: Figures) -> str:
    return f"({one.first_byte_ms:{_precision(one.first_byte_ms)}})"


def _added_first(one: Figures) -> str:
    return f"{one.added_first_byte_ms:+{_precision(one.added_first_byte_ms)}}"


def _cpu(one: Figures) -> str:
    return "" if one.cpu_ms is None else f"{one.cpu_ms:{_precision(one.cpu_ms)}}"


def _rate(one: Figures) -> str:
    rate = f"{one.requests_per_s:,.0f}" if one.requests_per_s >= 100 else f"{one.requests_per_s:.1f}"
    return f"{'~' if one.spread > UNSTEADY else ''}{rate}"


def _cell(one: Figures | None, cell: Callable[[Figures], str]) -> str:
    if one is None:
        return ""
    return "error" if one.error else cell(one)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
