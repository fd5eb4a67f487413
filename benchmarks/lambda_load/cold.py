"""Cold: what the first request of a new environment takes in Lambda's emulator, of ours and of the floor."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from benchmarks.lambda_load.artefacts import INTERPRETER, Artefacts
from tests.support.emulator import emulator

STREAMED = (str(INTERPRETER), "-m", "obscura.aws.runtime", "app.handler")
BUFFERED = (str(INTERPRETER), "-m", "awslambdaric", "app.handler")
_MOST_LINES = 24
_LEAST_MS = 4.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A function, the runtime that it is started in, and its first event."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    event: Mapping[str, object]


def cold_ms(subjects: Sequence[Subject], artefacts: Artefacts, rounds: int) -> dict[str, list[float]]:
    """Start each subject in turn, ``rounds`` times; the emulator starts a function with its first request."""
    took: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            task_root = artefacts.functions / subject.environment["AWS_LAMBDA_FUNCTION_NAME"]
            with emulator(subject.command, task_root, subject.environment) as lambda_:
                began_s = perf_counter()
                answered = lambda_.invoke(subject.event)
                took[subject.name].append((perf_counter() - began_s) * 1000)
            if b'"choices' not in answered.content and b'\\"choices' not in answered.content:
                raise RuntimeError(f"{subject.name} answered {answered.content[:500]!r}")
    return took


def import_tree(subject: Subject, artefacts: Artefacts) -> str:
    """Say where the time of the imports goes: those of over ``_LEAST_MS``, the longest first, with all they import."""
    task_root = artefacts.functions / subject.environment["AWS_LAMBDA_FUNCTION_NAME"]
    traced = subprocess.run(
        [INTERPRETER, "-X", "importtime", "-c", "import app"],
        cwd=task_root, env=dict(subject.environment), capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [line.removeprefix("import time:").split("|") for line in traced.stderr.splitlines()[1:]]
    imports = [(int(whole) / 1000, name.rstrip()) for _own, whole, name in rows if whole.strip().isdigit()]
    lines = [
        f"{whole_ms:9.1f} ms {name}" for whole_ms, name in reversed(imports)
        if whole_ms >= _LEAST_MS and (len(name) - len(name.lstrip())) <= _DEPTH
    ]  # fmt: skip
    return "\n".join(lines[:_MOST_LINES])


_DEPTH = 9
"""How far imports of imports are shown, in columns of ``-X importtime``: two for each level."""


def report(took: Mapping[str, Sequence[float]], say: Callable[[str], None]) -> None:
    """Print medians, and ours over the floor's."""
    for name, several_ms in took.items():
        say(f"{name:>28}: {median(several_ms):7.0f} ms  (from {min(several_ms):.0f} to {max(several_ms):.0f})")
    ours_ms, floor_ms = (median(took[name]) for name in ("obscura", "floor"))
    say(f"{'ours over the floor':>28}: {ours_ms / floor_ms:7.2f}      (aim at most 1.50)")
