"""Run the judges (all, or those named) and write ``docs/conformance.md``: ``python -m conformance [NAME…]``."""

import importlib
import sys

from conformance.figures import UNJUDGED, Faults, Figures
from conformance.report import write
from conformance.setting import Setting, setting

JUDGES = ("llm_comply", "vercel_ai", "agents", "llmprobe", "langchain", "schemathesis")


def judge(name: str, served: Setting, faults: Faults) -> list[Figures]:
    """Run one judge and print what it found."""
    found: list[Figures] = importlib.import_module(f"conformance.judges.{name}").run(served)
    for figures in found:
        head = f"{figures.tool} {figures.version}, {figures.what}"
        skipped = f", {figures.skipped} skipped" if figures.skipped else ""
        print(f"{head}: {figures.passed} passed, {len(figures.failures)} failed{skipped} ({figures.seconds:.0f} s)")
        for failure in figures.failures:
            print(f"    {failure.test}: {failure.reason} [{faults.of(figures, failure)[0]}]")
        sys.stdout.flush()
    return found


def main(words: list[str]) -> int:
    """Return 1 if a failure is ours, or is not judged yet."""
    if unknown := set(words) - set(JUDGES):
        print(f"No such judge: {', '.join(sorted(unknown))}. There are {', '.join(JUDGES)}.", file=sys.stderr)
        return 2
    faults, found = Faults.read(), []
    with setting() as served:
        for name in words or JUDGES:
            found += judge(name, served, faults)
    if not words:
        write(found, faults)
    whose = [faults.of(figures, failure)[0] for figures in found for failure in figures.failures]
    return int(UNJUDGED in whose or "Obscura" in whose)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
