"""llmprobe: conformance of the surfaces of an OpenAI-compatible endpoint; its grades of the model are left out."""

import json
import time

from conformance.figures import Failure, Figures, shortened
from conformance.installed import npm_version
from conformance.model import MODEL
from conformance.setting import MODULES, Setting


def run(setting: Setting) -> list[Figures]:
    """Probe both gateways."""
    found = []
    for way, gateway in setting.gateways.items():
        began, report = time.monotonic(), setting.folder / f"llmprobe-{way}.json"
        setting.tool(
            MODULES / ".bin" / "llmprobe", gateway.v1, "-k", gateway.key, "-m", MODEL,
            "--json", "--no-bench", "--no-save", "--save", report, timeout_s=100,
        )  # fmt: skip
        results = json.loads(report.read_text())["conformance"]["results"]
        failures = tuple(
            Failure(result["id"], shortened(json.dumps(result["failures"])))
            for result in results
            if result["outcome"] == "fail"
        )
        passed = sum(result["outcome"] == "pass" for result in results)
        skipped = len(results) - passed - len(failures)
        seconds = time.monotonic() - began
        found.append(Figures("llmprobe", npm_version("llmprobe"), way, passed, failures, skipped, seconds))
    return found
