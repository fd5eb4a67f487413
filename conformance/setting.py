"""What the judges meet: a model by rules, a gateway that translates to it, and one that passes bytes to the first."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from conformance.model import MESSAGES_MODEL, MODEL, served_model
from tests.support.serving_process import ServingProcess, environment, serving

FOLDER = Path(__file__).parent
BIN = FOLDER / ".venv" / "bin"
MODULES = FOLDER / "node" / "node_modules"

# Upstreams of kind openai have no Messages, so the native gateway reaches the first one in two ways.
CATALOG = """
[[upstreams]]
name = "openai"
url = "{url}"
kind = "openai"
key_env = "CONFORMANCE_KEY"
dialects = {openai}
hosted_tools = "drop"

[[upstreams]]
name = "anthropic"
url = "{url}"
kind = "{kind}"
key_env = "CONFORMANCE_KEY"
dialects = {anthropic}
hosted_tools = "drop"

[[models]]
id = "{model}"
upstream = "openai"

[[models]]
id = "{messages_model}"
upstream = "anthropic"
"""
TRANSLATED = {"openai": '["chat"]', "anthropic": '["chat"]', "kind": "openai"}
NATIVE = {"openai": '["chat", "responses"]', "anthropic": '["messages"]', "kind": "anthropic"}
SETTINGS = {"MODERATION": "demo", "KEY_REQUESTS_PER_MINUTE": "1000000", "LOG_LEVEL": "ERROR"}


@dataclass(frozen=True, slots=True)
class Setting:
    """The two gateways, and a folder for what tools write."""

    translated: ServingProcess
    native: ServingProcess
    folder: Path

    @property
    def gateways(self) -> dict[str, ServingProcess]:
        """Both, by what they are called in the figures."""
        return {"translated": self.translated, "native": self.native}

    def tool(self, *command: str | Path, timeout_s: float = 240, cwd: Path | None = None, **variables: str) -> str:
        """Run a tool to its end and return what it prints; HOME is the folder, so that it leaves nothing behind."""
        node = str(Path(sys.executable).parent)
        variables = {"HOME": str(self.folder), "PATH": f"{node}{os.pathsep}{os.environ['PATH']}"} | variables
        others = {name: value for name, value in os.environ.items() if not name.startswith(("OBSCURA_", "PYTEST_"))}
        process = subprocess.run(  # noqa: S603  the tools of the lock files, with words of ours
            [str(word) for word in command],
            cwd=cwd or self.folder, env=others | variables, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        return process.stdout or process.stderr


@contextmanager
def setting() -> Iterator[Setting]:
    """Serve the model and both gateways, in a temporary folder."""
    with TemporaryDirectory(prefix="conformance-") as name, served_model() as model:
        folder = Path(name)
        with (
            _gateway(folder / "translated", model.v1, "none", TRANSLATED) as translated,
            _gateway(folder / "native", translated.v1, translated.key, NATIVE) as native,
        ):
            yield Setting(translated, native, folder)


@contextmanager
def _gateway(folder: Path, upstream: str, key: str, speaks: dict[str, str]) -> Iterator[ServingProcess]:
    folder.mkdir()
    catalog = folder / "models.toml"
    catalog.write_text(CATALOG.format(url=upstream, model=MODEL, messages_model=MESSAGES_MODEL, **speaks))
    variables = environment(folder / "data", MODELS=str(catalog), **SETTINGS)
    with serving(variables | {"CONFORMANCE_KEY": key}) as gateway:
        if not gateway.key:
            raise RuntimeError("obscura serve did not start: " + "".join(gateway.lines))
        yield gateway
