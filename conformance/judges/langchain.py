"""langchain-tests: LangChain's standard tests of chat models, over all three dialects, translated and native."""

import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from PIL import Image

from conformance.figures import Failure, Figures, shortened
from conformance.installed import python_version
from conformance.setting import BIN, FOLDER, Setting
from tests.support.serving_process import ServingProcess

SUITES = {"chat": "ChatOpenAI, chat", "responses": "ChatOpenAI, Responses", "messages": "ChatAnthropic, Messages"}


def run(setting: Setting) -> list[Figures]:
    """Run every suite against both gateways."""
    served = {"translated": setting.translated, "native": setting.native}
    return [
        suite(setting, gateway, name, f"{what}, {way}")
        for name, what in SUITES.items()
        for way, gateway in served.items()
    ]


def suite(setting: Setting, gateway: ServingProcess, name: str, what: str) -> Figures:
    """Run one suite, in pytest of the tools' own environment."""
    began, report = time.monotonic(), setting.folder / "langchain.xml"
    report.unlink(missing_ok=True)
    png, pdf = setting.folder / "sample.png", setting.folder / "sample.pdf"
    for sample in (png, pdf):
        Image.new("RGB", (64, 64), "red").save(sample)
    printed = setting.tool(
        BIN / "python", "-m", "pytest", FOLDER / "suites" / f"langchain_{name}.py", f"--rootdir={FOLDER / 'suites'}",
        "-c", "/dev/null", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
        "--disable-socket", "--allow-hosts=127.0.0.1", "--allow-unix-socket",
        # LangChain keeps one asynchronous client for the process, so that all tests need the same event loop.
        "-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session",
        GATEWAY_URL=gateway.url, GATEWAY_KEY=gateway.key, SAMPLE_PNG=str(png), SAMPLE_PDF=str(pdf),
    )  # fmt: skip
    if not report.exists():
        raise RuntimeError(f"pytest wrote no report: {printed[-1000:]}")
    return read(report, what, time.monotonic() - began)


def read(report: Path, what: str, seconds: float) -> Figures:
    """Return the figures of a JUnit report."""
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314  a file that pytest has just written
    failed = [(case, said) for case in cases if (said := _said(case)) is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return Figures(
        tool="langchain-tests",
        version=python_version("langchain-tests"),
        what=what,
        passed=len(cases) - len(failed) - skipped,
        failures=tuple(Failure(case.get("name", ""), shortened(said)) for case, said in failed),
        skipped=skipped,
        seconds=seconds,
    )


def _said(case: ElementTree.Element) -> str | None:
    for kind in ("failure", "error"):
        if (found := case.find(kind)) is not None:
            return found.get("message") or found.text or ""
    return None
