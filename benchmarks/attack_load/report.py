"""The table of an attack run, as Markdown."""

from dataclasses import dataclass, field

from benchmarks.attack_load.ordinary import TIMEOUT_S, Served
from benchmarks.attack_load.scenarios import Scenario

_MIN_P99_MS = 1.0
"""A shorter p99 alone is below what the clients can tell apart."""
_HEAD = [
    "attack",
    "attackers",
    "text served",
    "p50 ms",
    "p99 ms",
    "image served",
    "p50 ms",
    "p99 ms",
    "x alone",
    "failed",
    "/healthz worst ms",
    "peak MB",
    "CPU s",
    "attackers' answers",
]


@dataclass(slots=True)
class Measured:
    """What one attack showed: the ordinary callers' side, the gateway's process, and what the attackers were answered.

    ``ratio`` is how many times as long as alone 99 of 100 requests take, of text or with an image, whichever is worse.
    """

    attack: str
    title: str
    attackers: int
    texts: Served
    images: Served
    probes: Served
    peak_mb: float
    cpu_s: float
    answers: dict[str, int] = field(default_factory=dict)
    ratio: float = 1.0

    def compare(self, alone: "Measured") -> None:
        """Set the ratio; a failed request counts as one that took the time-out."""
        self.ratio = max(
            _p99_ms(mine) / max(_p99_ms(theirs), _MIN_P99_MS)
            for mine, theirs in ((self.texts, alone.texts), (self.images, alone.images))
        )

    @property
    def failures(self) -> list[str]:
        """Why requests of ordinary callers failed."""
        return self.texts.failures + self.images.failures


def measured(
    scenario: Scenario, served: tuple[Served, Served, Served], process: tuple[float, float], answers: dict[str, int]
) -> Measured:
    """Gather one attack's figures; ``process`` is the gateway's peak resident MB and its CPU seconds."""
    return Measured(scenario.name, scenario.title, scenario.attackers, *served, *process, answers)


def line(one: Measured) -> str:
    """Return one attack in a line, for the terminal."""
    failed = f"  first failure: {one.failures[0]}" if one.failures else ""
    return f"{one.attack:15} {' | '.join(_cells(one)[2:])}{failed}"


def table(all_measured: list[Measured]) -> str:
    """Return the table in Markdown."""
    lines = [_HEAD, ["---", *["---:"] * (len(_HEAD) - 2), "---"], *map(_cells, all_measured)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def figures(one: Measured) -> dict[str, object]:
    """Return one attack's figures for JSON, in ms, MB and seconds."""
    return {
        "attack": one.attack,
        "attackers": one.attackers,
        "texts": len(one.texts.latencies_ms),
        "text_p50_ms": one.texts.percentile_ms(0.5),
        "text_p99_ms": _p99_ms(one.texts),
        "images": len(one.images.latencies_ms),
        "image_p50_ms": one.images.percentile_ms(0.5),
        "image_p99_ms": _p99_ms(one.images),
        "ratio": one.ratio,
        "failures": one.failures,
        "healthz_worst_ms": one.probes.worst_ms,
        "peak_mb": one.peak_mb,
        "cpu_s": one.cpu_s,
        "answers": one.answers,
    }


def _cells(one: Measured) -> list[str]:
    answers = ", ".join(f"{status}: {times}" for status, times in sorted(one.answers.items()))
    latencies = [
        cell
        for served in (one.texts, one.images)
        for cell in (
            f"{len(served.latencies_ms)}",
            f"{served.percentile_ms(0.5):.1f}",
            f"{_p99_ms(served):.1f}",
        )
    ]
    return [
        one.title,
        f"{one.attackers}",
        *latencies,
        f"{one.ratio:.1f}",
        f"{len(one.failures)}",
        f"{one.probes.worst_ms:.0f}",
        f"{one.peak_mb:.0f}",
        f"{one.cpu_s:.1f}",
        answers or "none",
    ]


def _p99_ms(served: Served) -> float:
    """Return the p99 in which a failed request counts as one that took the time-out."""
    return Served(served.latencies_ms + [TIMEOUT_S * 1e3] * len(served.failures)).percentile_ms(0.99)
