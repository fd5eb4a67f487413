"""Suites that run in pytest, in an environment of the tools."""

import time
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from conformance.figures import Failure, Figures, shortened
from conformance.installed import python_version
from conformance.setting import BIN, FOLDER, Setting
from tests.support.serving_process import ServingProcess


def run_suite(  # noqa: PLR0913
    setting: Setting, gateway: ServingProcess, suite: str, tool: str, what: str, *options: str, bin_folder: Path = BIN
) -> Figures:
    """Run ``suites/<suite>.py`` against a gateway; GATEWAY_URL, GATEWAY_KEY and sample files are in its environment."""
    began, report = time.monotonic(), setting.folder / "report.xml"
    report.unlink(missing_ok=True)
    png, pdf = setting.folder / "sample.png", setting.folder / "sample.pdf"
    for sample in (png, pdf):
        Image.new("RGB", (64, 64), "red").save(sample)
    printed = setting.tool(
        bin_folder / "python", "-m", "pytest", FOLDER / "suites" / f"{suite}.py", f"--rootdir={FOLDER / 'suites'}",
        "-c", "/dev/null", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *options,
        timeout_s=150, LITELLM_LOCAL_MODEL_COST_MAP="True", GATEWAY_URL=gateway.url,
        GATEWAY_KEY=gateway.key, SAMPLE_PNG=str(png), SAMPLE_PDF=str(pdf),
    )  # fmt: skip
    if not report.exists():
        raise RuntimeError(f"pytest wrote no report: {printed[-1000:]}")
    version = python_version(tool, bin_folder)
    passed, failures, skipped = read(report)
    return Figures(tool, version, what, passed, failures, skipped, time.monotonic() - began)


def read(report: Path) -> tuple[int, tuple[Failure, ...], int]:
    """Return the tests of a JUnit report: how many passed, the failures, how many were skipped."""
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314  a file that pytest has just written
    failed = [(case, said) for case in cases if (said := _said(case)) is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    failures = tuple(Failure(case.get("name", ""), shortened(said)) for case, said in failed)
    return len(cases) - len(failed) - skipped, failures, skipped


def _said(case: ElementTree.Element) -> str | None:
    for kind in ("failure", "error"):
        if (found := case.find(kind)) is not None:
            return found.get("message") or found.text or ""
    return None
