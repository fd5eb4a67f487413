"""What a judge found: tests passed, tests failed, and whose fault each failure is."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

FAULTS = Path(__file__).parent / "faults.toml"
UNJUDGED = "not judged yet"
MAX_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed test, and what the tool said of it."""

    test: str
    reason: str


@dataclass(frozen=True, slots=True)
class Figures:
    """The result of one run of a tool."""

    tool: str
    version: str
    what: str
    passed: int
    failures: tuple[Failure, ...] = ()
    skipped: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A judgement on failures: ``tool`` and ``test`` are searched as regular expressions, ``said`` in the reason."""

    tool: str
    test: str
    whose: str
    why: str
    said: str = ""

    def covers(self, figures: Figures, failure: Failure) -> bool:
        """Whether this judgement is about a failure."""
        return bool(
            re.search(self.tool, f"{figures.tool}: {figures.what}")
            and re.search(self.test, failure.test)
            and re.search(self.said, failure.reason)
        )


@dataclass(frozen=True, slots=True)
class Faults:
    """All judgements of ``faults.toml``; the first that covers a failure holds."""

    known: tuple[Fault, ...] = field(default_factory=tuple)

    @classmethod
    def read(cls, path: Path = FAULTS) -> "Faults":
        """Read the file; raises TypeError for an entry with unknown keys."""
        return cls(tuple(Fault(**entry) for entry in tomllib.loads(path.read_text()).get("fault", [])))

    def of(self, figures: Figures, failure: Failure) -> tuple[str, str]:
        """Return whose fault a failure is, and why."""
        for fault in self.known:
            if fault.covers(figures, failure):
                return fault.whose, fault.why
        return UNJUDGED, ""


def shortened(reason: str) -> str:
    """Return a reason on one line, safe for a cell of a table."""
    line = " ".join(reason.split()).replace("|", "\\|").replace("<", "&lt;")
    return line if len(line) <= MAX_REASON_CHARS else line[: MAX_REASON_CHARS - 1] + "…"
