"""langchain-tests: LangChain's standard tests of chat models, over all three dialects, translated and native."""

from conformance.figures import Figures
from conformance.pytest_run import run_suite
from conformance.setting import Setting

SUITES = {"chat": "ChatOpenAI, chat", "responses": "ChatOpenAI, Responses", "messages": "ChatAnthropic, Messages"}
# LangChain keeps one asynchronous client for the process, so that all tests need the same event loop.
OPTIONS = (
    "-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session",
    "--disable-socket", "--allow-hosts=127.0.0.1", "--allow-unix-socket",
)  # fmt: skip


def run(setting: Setting) -> list[Figures]:
    """Run every suite against both gateways."""
    return [
        run_suite(setting, gateway, f"langchain_{name}", "langchain-tests", f"{what}, {way}", *OPTIONS)
        for name, what in SUITES.items()
        for way, gateway in setting.gateways.items()
    ]
