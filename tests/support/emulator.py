"""AWS's own runtime emulator, which comes with the SAM CLI: one process of a function, one invocation at a time."""

import json
import platform
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

SAM = Path(__file__).parents[2] / "sam" / ".venv"
ACCEPTS_WITHIN_S = 20
DELIMITER = bytes(8)


@dataclass
class Streamed:
    """A streamed response as the emulator passes it on: buffered, with the prelude still before it."""

    prelude: dict
    body: bytes


@dataclass
class Emulator:
    url: str

    def invoke(self, event: object) -> httpx.Response:
        return httpx.post(self.url, json=event, timeout=60, trust_env=False)

    def invoke_streamed(self, event: object) -> Streamed:
        prelude, _, body = self.invoke(event).content.partition(DELIMITER)
        return Streamed(json.loads(prelude), body)


def emulator_binary() -> Path:
    architecture = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    found = SAM.glob(f"lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{architecture}")
    return next(found)


@contextmanager
def emulator(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Iterator[Emulator]:
    """Run a function's process in the emulator; it listens on 127.0.0.1 alone, which is not its default."""
    door, api = _free_port(), _free_port()
    process = subprocess.Popen(
        [
            emulator_binary(),
            "--runtime-interface-emulator-address", f"127.0.0.1:{door}",
            "--runtime-api-address", f"127.0.0.1:{api}",
            *command,
        ],
        cwd=cwd, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(door)
        yield Emulator(f"http://127.0.0.1:{door}/2015-03-31/functions/function/invocations")
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def _wait_for(port: int) -> None:
    until_s = time.monotonic() + ACCEPTS_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.05)
        else:
            return
