"""Cold starts: the first request of a new environment in Lambda's emulator, Obscura's and the floor's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen
from typing import Any

from rehearsal.emulator import emulated
from rehearsal.layout import Layout

_MAX_LINES = 24
_MIN_MS = 4.0
_DEPTH_COLUMNS = 9
"""The depth of imports that are shown: ``-X importtime`` indents each level by two."""


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
        return self.layout.paths(self.family).interpreter

    def start(self, command: Sequence[str | Path], **streams: Any) -> Popen[Any]:
        """Start a command in the function's environment."""
        return self.layout.start(self.family, command, self.settings, **streams)


def cold_ms(subjects: Sequence[Subject], rounds: int) -> dict[str, list[float]]:
    """Start each subject in turn, ``rounds`` times; the emulator starts a function with its first request."""
    elapsed_ms: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            with emulated(subject.layout, subject.family, subject.settings) as function:
                response = function.invoke(subject.event)
            if response.status != 200:
                raise RuntimeError(f"{subject.name} responded {response.body[:500]!r}")
            elapsed_ms[subject.name].append(response.elapsed_ms)
    return elapsed_ms


def import_tree(subject: Subject) -> str:
    """Return the imports of over ``_MIN_MS`` with all that they import, the longest first."""
    tracing = subject.start([subject.interpreter, "-X", "importtime", "-c", "import app"], stderr=PIPE, text=True)
    _, traced = tracing.communicate()
    rows = [line.removeprefix("import time:").split("|") for line in traced.splitlines()[1:]]
    imports = [(int(whole) / 1000, name.rstrip()) for _own, whole, name in rows if whole.strip().isdigit()]
    lines = [
        f"{whole_ms:9.1f} ms {name}" for whole_ms, name in reversed(imports)
        if whole_ms >= _MIN_MS and (len(name) - len(name.lstrip())) <= _DEPTH_COLUMNS
    ]  # fmt: skip
    return "\n".join(lines[:_MAX_LINES])


def report(elapsed_ms: Mapping[str, Sequence[float]], write: Callable[[str], None]) -> None:
    """Write the medians, and Obscura's over the floor's."""
    for name, several_ms in elapsed_ms.items():
        write(f"{name:>28}: {median(several_ms):7.0f} ms  (from {min(several_ms):.0f} to {max(several_ms):.0f})")
    ours_ms, floor_ms = (median(elapsed_ms[name]) for name in ("obscura", "floor"))
    write(f"{'ours over the floor':>28}: {ours_ms / floor_ms:7.2f}      (aim at most 1.50)")
