"""``obscura serve`` in a process of its own, with all its output kept."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

START_TIMEOUT_S = 30


@dataclass
class ServingProcess:
    process: subprocess.Popen[str]
    data_dir: Path
    url: str = ""
    key: str = ""
    curl: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"

    def log_lines(self) -> list[str]:
        return [line for line in self.lines if line.startswith('{"level"')]


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """This process's environment with Obscura's settings replaced by these (``UPSTREAM_URL="…"``)."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("OBSCURA_")}
    given = {f"OBSCURA_{name}": value for name, value in settings.items()}
    return others | {"OBSCURA_DATA_DIR": str(data_dir)} | given


def run_obscura(*words: str, env: dict[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [sys.executable, "-m", "obscura.cli", *words]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@contextlib.contextmanager
def serving(env: dict[str, str], *, run: tuple[str, ...] = ("-m", "obscura.cli")) -> Iterator[ServingProcess]:
    """Start a server on a free port and end it with SIGINT; then ``lines`` has all its output.

    ``run`` is what Python runs in place of the command.
    """
    process = subprocess.Popen(
        [sys.executable, *run, "serve", "--port", "0"],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    serving_process = ServingProcess(process, Path(env["OBSCURA_DATA_DIR"]))
    ready = threading.Event()
    reading = threading.Thread(target=_read, args=(serving_process, ready), daemon=True)
    reading.start()
    try:
        assert ready.wait(START_TIMEOUT_S), "".join(serving_process.lines)
        yield serving_process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(15)
        reading.join(5)
        process.stdout.close()


def _read(serving_process: ServingProcess, ready: threading.Event) -> None:
    for line in serving_process.process.stdout:
        serving_process.lines.append(line)
        if match := re.search(r"serves on (\S+)", line):
            serving_process.url = match[1]
        elif match := re.match(r"\s+(obs_\S+)$", line):
            serving_process.key = match[1]
        elif line.startswith("curl "):
            serving_process.curl = line.strip()
            ready.set()
    ready.set()
