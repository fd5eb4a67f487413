"""How many changes of the security-critical modules the tests notice: ``python -m tests.mutation`` (ADR 84).

A change (mutant) is one of Cosmic Ray's: another operator, comparison, number, boolean or exception. The score of a
module is the share of its mutants that make a test fail, those of ``equivalent.toml`` aside, and those that do not
load, which any test would notice.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.run import Outcome, run_tests, warm_up
from tests.mutation.targets import TARGETS, Target, read_equivalent

_MIN_CPU_S = 10
_CPU_FACTOR = 4


@dataclass(slots=True)
class Result:
    """The outcomes of one module's mutants; ``cut_short`` if its time was over before all were tried."""

    name: str
    counts: Counter[Outcome] = field(default_factory=Counter)
    equivalent: int = 0
    survivors: list[Mutant] = field(default_factory=list)
    cut_short: bool = False

    @property
    def killed(self) -> int:
        """Mutants that a test noticed; one that never ends is noticed too."""
        return self.counts[Outcome.KILLED] + self.counts[Outcome.TIMED_OUT]

    @property
    def tried(self) -> int:
        """Mutants that count: killed and survived."""
        return self.killed + len(self.survivors)


def main() -> None:
    """Run what the command line asks for; exit with 1 if the score is below ``--at-least``."""
    options = _options()
    os.nice(19 - os.nice(0))
    targets = [target for target in TARGETS if not options.only or _is_chosen(target, options.only)]
    if not targets:
        sys.exit(f"No module matches {options.only}; there are: {', '.join(target.name for target in TARGETS)}")
    equivalent = {(one["module"], one["before"], one["after"]) for one in read_equivalent()}
    warm_up()
    results = []
    with tempfile.TemporaryDirectory(prefix="obscura-mutation-") as scratch:
        for target in targets:
            results.append(_run(target, equivalent, options, Path(scratch) / "pytest.log"))
            print(_row(results[-1]), flush=True)
            for survivor in results[-1].survivors:
                print(f"    survived: {survivor}", flush=True)
    killed, tried = sum(one.killed for one in results), sum(one.tried for one in results)
    score = 100 * killed / tried if tried else 100.0
    print(f"{killed} of {tried} mutants killed: {score:.1f} %")
    if score < options.at_least:
        sys.exit(f"below the aim of {options.at_least} %")


def _run(target: Target, equivalent: set[tuple[str, str, str]], options: argparse.Namespace, log: Path) -> Result:
    source = target.source.read_text()
    started_at_s = time.monotonic()
    outcome, cpu_s = run_tests(target, source, 600, log)
    if outcome is not Outcome.SURVIVED:
        sys.exit(f"the tests of {target.name} fail without a mutant:\n{log.read_text()[-3000:]}")
    max_cpu_s = _MIN_CPU_S + int(_CPU_FACTOR * cpu_s)
    result = Result(target.name)
    for mutant in mutants_of(source, options.sample):
        if time.monotonic() - started_at_s > 60 * options.minutes:
            result.cut_short = True
            break
        if (target.name, mutant.before, mutant.after) in equivalent:
            result.equivalent += 1
            continue
        outcome, _ = run_tests(target, mutant.code, max_cpu_s, log)
        result.counts[outcome] += 1
        if outcome is Outcome.SURVIVED:
            result.survivors.append(mutant)
    return result


def _row(result: Result) -> str:
    share = f"{100 * result.killed / result.tried:5.1f} %" if result.tried else "    - "
    extra = f", {result.equivalent} equivalent" if result.equivalent else ""
    extra += f", {result.counts[Outcome.DOES_NOT_LOAD]} do not load" if result.counts[Outcome.DOES_NOT_LOAD] else ""
    extra += f", {result.counts[Outcome.TIMED_OUT]} timed out" if result.counts[Outcome.TIMED_OUT] else ""
    return f"{result.name:40} {result.killed:4} of {result.tried:4} {share}{extra}{' (out of time)' * result.cut_short}"


def _is_chosen(target: Target, chosen: list[str]) -> bool:
    return any(name == target.concern or name in target.name for name in chosen)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="at most so many mutants of each module (default: all)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="concerns or modules, as in targets.py")
    parser.add_argument("--minutes", type=float, default=30, help="for each module (default: %(default)s)")
    parser.add_argument(
        "--at-least", type=float, default=90, metavar="PERCENT", help="fail below (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
