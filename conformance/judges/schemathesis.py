"""Schemathesis: requests made from the gateway's own ``/openapi.json``, valid and not; answers held to the schema."""

import json
import re
import time
from typing import Any

from conformance.figures import Failure, Figures, shortened
from conformance.installed import python_version
from conformance.setting import BIN, Setting

MAX_EXAMPLES = 15
MAX_TIME_S = 45
_HEADING = re.compile(r"^_{3,} (.+?) _{3,}$")
_FOUND = re.compile(r"^- (.+)$")
_ANSWER = re.compile(r"^\s+`(.+)`$")


def run(setting: Setting) -> list[Figures]:
    """Run it once, with a fixed seed and a bound on examples and time."""
    began, gateway, folder = time.monotonic(), setting.translated, setting.folder / "schemathesis"
    report = folder / "report.json"
    printed = setting.tool(
        BIN / "schemathesis", "--no-color", "run", f"{gateway.url}/openapi.json",
        "--header", f"Authorization: Bearer {gateway.key}", "--max-examples", str(MAX_EXAMPLES),
        "--max-time", str(MAX_TIME_S), "--seed", "1", "--no-shrink", "--continue-on-failure",
        "--generation-database", "none", "--report", "json", "--report-json-path", report, "--report-dir", folder,
    )  # fmt: skip
    if not report.exists():
        raise RuntimeError(f"schemathesis wrote no report: {printed[-1000:]}")
    figures = json.loads(report.read_text())
    cases, operations = figures["test_cases"], figures["operations"]
    found = failures(printed)
    if len(found) != sum(failure["count"] for failure in figures["failures"]):
        raise RuntimeError(f"The findings that schemathesis printed are not those of its report: {printed[-1000:]}")
    return [
        Figures(
            tool="schemathesis",
            version=python_version("schemathesis"),
            what=f"cases of {operations['tested']} operations of our schema in at most {MAX_TIME_S} s",
            passed=passed(cases),
            failures=found,
            skipped=cases["without_checks"],
            seconds=time.monotonic() - began,
        )
    ]


def passed(cases: dict[str, Any]) -> int:
    """Return how many cases passed at least one check and failed none."""
    count: int = cases["generated"] - cases["with_failures"] - cases["without_checks"] - cases["errored"]
    return count


def failures(printed: str) -> tuple[Failure, ...]:
    """Return each distinct finding: its operation, its title and the answer, which the report in JSON leaves out."""
    operation, title, found = "", "", []
    for line in printed.splitlines():
        if heading := _HEADING.match(line):
            operation = heading[1]
        elif operation and (said := _FOUND.match(line)):
            title = said[1]
        elif title and (answer := _ANSWER.match(line)):
            found.append(Failure(operation, shortened(f"{title}: {answer[1]}")))
            title = ""
    return tuple(found)
