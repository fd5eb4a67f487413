"""``make rehearse``: the stack as it would be created, its roles, and every family's built function in its own role."""

import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rehearsal.account import OPERATOR, Account, account_of
from rehearsal.checks import CHECKS, functions_by_family
from rehearsal.emulator import Answered, emulated
from rehearsal.families import families
from rehearsal.grants import NEEDED, UNIVERSE, Call, allowed_calls
from rehearsal.layout import Layout, lay_out
from rehearsal.report import Report
from rehearsal.scenarios import Play, Scene, play
from rehearsal.stack import NAME, ROOT, Stack, translated


def main() -> int:
    """Rehearse; gives 0 when everything held."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    report = Report()
    stack = translated(ROOT / "template.yaml")
    report.act("What would be created")
    for check in CHECKS:
        report.finding(str(check.__doc__).partition("\n")[0], list(check(stack)))
    with tempfile.TemporaryDirectory() as folder, account_of(stack) as account:
        stage = Stage(stack, account, lay_out(), make_key(account, Path(folder)), Path(folder))
        account.enforce()
        report.act(f"What each role may do, of {len(UNIVERSE)} calls")
        for family, function in functions_by_family(stack).items():
            rehearse_role(report, family, allowed_calls(account, stack, function["Role"]))
        report.act(f"What was built is laid out as on Lambda: {stage.layout}")
        for family in families():
            report.act(f"The {family} function, in Lambda's runtime emulator")
            rehearse_function(report, stage, family)
    return report.end()


@dataclass(frozen=True)
class Stage:
    """What functions are played on: the stack in its account, what was built, an API key, a folder for files."""

    stack: Stack
    account: Account
    layout: Layout
    key: str
    folder: Path

    def environment(self, family: str) -> dict[str, str]:
        """Return a function what its template and its role give it."""
        function = functions_by_family(self.stack)[family]
        response = {name: str(value) for name, value in function["Environment"]["Variables"].items()}
        return response | self.account.environment(function["Role"]) | {"OBSCURA_DATA_DIR": str(self.folder)}


def rehearse_role(report: Report, family: str, allowed: set[Call]) -> None:
    """Hold what a role was allowed against what its family needs, call by call."""
    needed = NEEDED[family]
    faults = [f"denied: {call}" for call in needed - allowed] + [f"allowed: {call}" for call in allowed - needed]
    report.finding(f"{family}: the {len(needed)} that it makes, and no other", sorted(faults))


def rehearse_function(report: Report, stage: Stage, family: str) -> None:
    """Play a family's scenes on its built function; nothing that it writes may tell a key, or a fault of its own."""
    written = stage.folder / f"{family}.log"
    with emulated(stage.layout, family, stage.environment(family), written) as emulator:
        acts = play(family, stage.key)
        scene = next(acts, None)
        while scene is not None:
            answered = emulator.invoke(scene.event)
            faults = list(scene.faults(answered, family))
            report.finding(f"{scene.title}: {answered.status} in {answered.elapsed_ms:.0f} ms", faults)
            scene = _after(acts, answered)
    lines = written.read_text().splitlines()
    bad = [line for line in lines if stage.key in line or '"fault"' in line]
    report.finding(f"its {len(lines)} lines tell no key and no fault", bad)


def _after(acts: Play, answered: Answered) -> Scene | None:
    try:
        return acts.send(answered)
    except StopIteration:
        return None


def make_key(account: Account, folder: Path) -> str:
    """Make an API key as an operator would, with the command that the stack's outputs name."""
    settings = {"OBSCURA_TABLE": NAME, "OBSCURA_DATA_DIR": str(folder)}
    made = subprocess.run(
        [sys.executable, "-m", "obscura.cli", "keys", "create", "--project", "rehearsal"],
        env=os.environ | account.environment(OPERATOR) | settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return made.stdout.split()[-1]


if __name__ == "__main__":
    sys.exit(main())
