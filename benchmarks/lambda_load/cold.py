"""Cold: what the first request of a new environment takes in Lambda's emulator, of ours and of the floor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen
from typing import Any

from rehearsal.emulator import emulated
from rehearsal.layout import Layout

_MOST_LINES = 24
_LEAST_MS = 4.0
_DEPTH_COLUMNS = 9
"""How far imports of imports are shown: ``-X importtime`` indents each level by two."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A built function with its settings and its first event."""

    name: str
    layout: Layout
    family: str
    settings: dict[str, str]
    event: Mapping[str, object]

    @property
    def interpreter(self) -> Path:
        return self.layout.places(self.family).interpreter

    def start(self, command: Sequence[str | Path], **streams: Any) -> Popen[Any]:
        """Start a command where the function would run."""
        return self.layout.start(self.family, command, self.settings, **streams)


def cold_ms(subjects: Sequence[Subject], rounds: int) -> dict[str, list[float]]:
    """Start each subject in turn, ``rounds`` times; the emulator starts a function with its first request."""
    took: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            with emulated(subject.layout, subject.family, subject.settings) as function:
                answered = function.invoke(subject.event)
            if answered.status != 200:
                raise RuntimeError(f"{subject.name} answered {answered.body[:500]!r}")
            took[subject.name].append(answered.elapsed_ms)
    return took


def import_tree(subject: Subject) -> str:
    """Say where the time of the imports goes: those of over ``_LEAST_MS``, the longest first, with all they import."""
    tracing = subject.start([subject.interpreter, "-X", "importtime", "-c", "import app"], stderr=PIPE, text=True)
    _, traced = tracing.communicate()
    rows = [line.removeprefix("import time:").split("|") for line in traced.splitlines()[1:]]
    imports = [(int(whole) / 1000, name.rstrip()) for _own, whole, name in rows if whole.strip().isdigit()]
    lines = [
        f"{whole_ms:9.1f} ms {name}" for whole_ms, name in reversed(imports)
        if whole_ms >= _LEAST_MS and (len(name) - len(name.lstrip())) <= _DEPTH_COLUMNS
    ]  # fmt: skip
    return "\n".join(lines[:_MOST_LINES])


def report(took: Mapping[str, Sequence[float]], say: Callable[[str], None]) -> None:
    """Print medians, and ours over the floor's."""
    for name, several_ms in took.items():
        say(f"{name:>28}: {median(several_ms):7.0f} ms  (from {min(several_ms):.0f} to {max(several_ms):.0f})")
    ours_ms, floor_ms = (median(took[name]) for name in ("obscura", "floor"))
    say(f"{'ours over the floor':>28}: {ours_ms / floor_ms:7.2f}      (aim at most 1.50)")
