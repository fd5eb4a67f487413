"""Schemathesis: requests made from the gateway's own ``/openapi.json``, valid and not; answers held to the schema."""

import re
import time

from conformance.figures import Failure, Figures, shortened
from conformance.installed import python_version
from conformance.setting import BIN, Setting

MAX_EXAMPLES = 15
MAX_TIME_S = 45
_COUNTED = re.compile(r"(\d+) generated(?:, (\d+) found (\d+) unique failures)?")
_HEADING = re.compile(r"^_{3,} (.+?) _{3,}$")
_FOUND = re.compile(r"^- (.+)$")


def run(setting: Setting) -> list[Figures]:
    """Run it once, with a fixed seed and a bound on examples and time."""
    began, gateway = time.monotonic(), setting.translated
    printed = setting.tool(
        BIN / "schemathesis", "--no-color", "run", f"{gateway.url}/openapi.json", "--header", f"Authorization: Bearer {gateway.key}",
        "--max-examples", str(MAX_EXAMPLES), "--max-time", str(MAX_TIME_S), "--seed", "1", "--no-shrink",
        "--continue-on-failure", "--generation-database", "none",
    )  # fmt: skip
    counted = _COUNTED.search(printed)
    if counted is None:
        raise RuntimeError(f"schemathesis printed no figures: {printed[-1000:]}")
    generated, failed = int(counted[1]), int(counted[2] or 0)
    found = failures(printed)
    what = f"our schema, {generated} cases in at most {MAX_TIME_S} s, {failed} of them with a finding below"
    passed, seconds = generated - failed, time.monotonic() - began
    return [Figures("schemathesis", python_version("schemathesis"), what, passed, found, seconds=seconds)]


def failures(printed: str) -> tuple[Failure, ...]:
    """Return each distinct finding with the operation that it is of."""
    operation, found = "", []
    lines = printed.splitlines()
    for number, line in enumerate(lines):
        if heading := _HEADING.match(line):
            operation = heading[1]
        elif operation and (said := _FOUND.match(line)):
            details = " ".join(lines[number + 1 : number + 6])
            found.append(Failure(operation, shortened(f"{said[1]}: {details}")))
    return tuple(found)
