"""llm-comply: the compliance tests of Open Responses, OpenAI's chat completions and Anthropic's Messages."""

import json
import time

from conformance.figures import Failure, Figures, shortened
from conformance.installed import python_version
from conformance.model import MESSAGES_MODEL, MODEL
from conformance.setting import BIN, Setting
from tests.support.serving_process import ServingProcess

FORMATS = {"open-responses": "Responses", "openai-chat": "chat", "anthropic": "Messages"}


def run(setting: Setting) -> list[Figures]:
    """Run the three suites against both gateways."""
    return [
        suite(setting, gateway, api_format, f"{name}, {way}")
        for api_format, name in FORMATS.items()
        for way, gateway in setting.gateways.items()
    ]


def suite(setting: Setting, gateway: ServingProcess, api_format: str, what: str) -> Figures:
    """Run one suite against one gateway."""
    began = time.monotonic()
    header = ("--auth-header", "x-api-key", "--no-bearer") if api_format == "anthropic" else ()
    printed = setting.tool(
        BIN / "llm-comply", "--base-url", gateway.v1, "--api-key", gateway.key,
        "--model", MESSAGES_MODEL if header else MODEL, "--format", api_format, "--json", *header,
    )  # fmt: skip
    results = json.loads(printed)["results"]
    return Figures(
        tool="llm-comply",
        version=python_version("llm-comply"),
        what=what,
        passed=sum(result["status"] == "passed" for result in results),
        failures=tuple(
            Failure(result["id"], shortened("; ".join(result["errors"])))
            for result in results
            if result["status"] == "failed"
        ),
        skipped=sum(result["status"] == "skipped" for result in results),
        seconds=time.monotonic() - began,
    )
