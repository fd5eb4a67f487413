"""``make rehearse``: the stack as it would be created, its roles, and each family's built function in its own role."""

import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rehearsal.account import OPERATOR, Account, account_of
from rehearsal.bedrock import ANSWER, bedrock
from rehearsal.checks import CHECKS, functions_by_family
from rehearsal.emulator import FunctionResponse, emulated
from rehearsal.events import read_event, with_body
from rehearsal.families import FAMILIES, key_options
from rehearsal.grants import NEEDED, UNIVERSE, Call, allowed_calls
from rehearsal.layout import Layout, install_layout
from rehearsal.report import Report
from rehearsal.scenarios import Case, Scenario, scenario
from rehearsal.stack import NAME, REGION, ROOT, Stack, translated
from rehearsal.updates import published, refused_versions, unpublished_changes, variants

UNDER_POLICIES = ("policy", "inspect")
BEDROCK_MODEL = "eu.amazon.nova-lite-v1:0"


def main() -> int:
    """Rehearse; returns 0 if everything held."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    report = Report()
    stack = translated(ROOT / "template.yaml")
    report.section("What would be created")
    for check in CHECKS:
        report.finding(str(check.__doc__).partition("\n")[0], list(check(stack)))
    report.section("What would be created on Managed Instances")
    managed = translated(ROOT / "template-managed.yaml", InstanceSubnetIds="subnet-1", InstanceSecurityGroupIds="sg-1")
    for check in CHECKS:
        report.finding(str(check.__doc__).partition("\n")[0], list(check(managed)))
    report.section("What an update of the template alone would publish")
    with tempfile.TemporaryDirectory() as folder:
        for name, updated in variants(Path(folder)).items():
            faults = [*refused_versions(stack, updated), *unpublished_changes(stack, updated)]
            report.finding(f"{name}: {len(published(stack, updated))} versions, none of them refused", faults)
    with tempfile.TemporaryDirectory() as folder, account_of(stack) as account:
        keys = {family: make_key(account, Path(folder), family) for family in FAMILIES}
        environment = Environment(stack, account, install_layout(), keys, Path(folder))
        account.enforce()
        report.section(f"What each role may do, of {len(UNIVERSE)} calls")
        for family, function in functions_by_family(stack).items():
            rehearse_role(report, family, allowed_calls(account, stack, function["Role"]))
        report.section(f"The build is laid out as on Lambda: {environment.layout}")
        for family in sorted(FAMILIES, key=UNDER_POLICIES.__contains__):  # these last, under policies that are saved
            report.section(f"The {family} function, in Lambda's runtime emulator")
            rehearse_function(report, environment, family)
    rehearse_bedrock(report, environment.layout)
    return report.end()


@dataclass(frozen=True)
class Environment:
    """What scenarios run in: the stack in its account, the build, an API key for each family, a folder for files."""

    stack: Stack
    account: Account
    layout: Layout
    keys: dict[str, str]
    folder: Path

    def variables(self, family: str) -> dict[str, str]:
        """Return a function's environment variables: its template's and its role's."""
        function = functions_by_family(self.stack)[family]
        declared = {name: str(value) for name, value in function["Environment"]["Variables"].items()}
        return declared | self.account.environment(function["Role"]) | {"OBSCURA_DATA_DIR": str(self.folder)}


def rehearse_role(report: Report, family: str, allowed: set[Call]) -> None:
    """Compare what a role is allowed with what its family needs, call by call."""
    needed = NEEDED[family]
    faults = [f"denied: {call}" for call in needed - allowed] + [f"allowed: {call}" for call in allowed - needed]
    report.finding(f"{family}: the {len(needed)} that it makes, and no other", sorted(faults))


def rehearse_function(report: Report, environment: Environment, family: str) -> None:
    """Run a family's scenario on its built function; its log lines must have no key and no exception."""
    log = environment.folder / f"{family}.log"
    with emulated(environment.layout, family, environment.variables(family), log) as emulator:
        key = environment.keys[family]
        cases = scenario(family, key)
        case = next(cases, None)
        while case is not None:
            response = emulator.invoke(case.event)
            faults = list(case.faults(response, family))
            report.finding(f"{case.title}: {response.status} in {response.elapsed_ms:.0f} ms", faults)
            case = _next_case(cases, response)
    lines = log.read_text().splitlines()
    bad = [line for line in lines if key in line or '"fault"' in line]
    report.finding(f"its {len(lines)} log lines have no key and no exception", bad)


def rehearse_bedrock(report: Report, layout: Layout) -> None:
    """Run the chat function of a stack that calls Bedrock by its role: no key of an upstream is in the account."""
    report.section(f"A stack that calls {BEDROCK_MODEL} of Bedrock by its role, without a key")
    stack = translated(ROOT / "template.yaml", BedrockRegion=REGION, BedrockModels=BEDROCK_MODEL, Moderation="off")
    with tempfile.TemporaryDirectory() as folder, account_of(stack) as account:
        environment = Environment(
            stack, account, layout, {"chat": make_key(account, Path(folder), "chat")}, Path(folder)
        )
        account.enforce()
        variables = environment.variables("chat")
        with bedrock(variables) as (origin, refusals):
            log = environment.folder / "chat.log"
            variables |= {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": origin}
            with emulated(layout, "chat", variables, log) as emulator:
                event = with_body(read_event("chat", environment.keys["chat"]), model=BEDROCK_MODEL)
                for title, streamed in (("streamed, with an image", True), ("plain, with an image", False)):
                    case = Case(title, with_body(event, stream=streamed), ANSWER.encode(), header="x-image-tokens")
                    response = emulator.invoke(case.event)
                    faults = list(case.faults(response, "chat"))
                    report.finding(f"{title}: {response.status} in {response.elapsed_ms:.0f} ms", faults)
        report.finding("every request was signed by the role", refusals)


def _next_case(cases: Scenario, response: FunctionResponse) -> Case | None:
    try:
        return cases.send(response)
    except StopIteration:
        return None


def make_key(account: Account, folder: Path, family: str) -> str:
    """Make an API key for a family as an operator would, with the command of the stack's outputs."""
    settings = {"OBSCURA_TABLE": NAME, "OBSCURA_DATA_DIR": str(folder)}
    created = subprocess.run(  # noqa: S603 our own interpreter and arguments
        [sys.executable, "-m", "obscura.cli", "keys", "create", "--project", "rehearsal", *key_options(family)],
        env=os.environ | account.environment(OPERATOR) | settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return created.stdout.split()[-1]


if __name__ == "__main__":
    sys.exit(main())
