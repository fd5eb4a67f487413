"""A built function in Lambda's runtime emulator, which comes with the SAM CLI: no Docker, one call at a time.

The emulator buffers streamed responses and leaves their prelude in them, cuts off events over 6 MB, and crashes on two
calls at once. Both of its addresses are set: by default it would listen on every interface.
"""

import base64
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

from rehearsal.layout import Layout

START_TIMEOUT_S = 30
RESPONSE_TIMEOUT_S = 60
INVOCATIONS = "/2015-03-31/functions/function/invocations"
WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"


@dataclass(frozen=True)
class FunctionResponse:
    """A function's response as API Gateway would pass it on; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    streamed: bool
    elapsed_ms: float

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Emulator:
    """A running function."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def invoke(self, event: Mapping[str, object]) -> FunctionResponse:
        """Invoke the function with one event; raises ValueError if the result is no response."""
        request = urllib.request.Request(self._origin + INVOCATIONS, json.dumps(event).encode())  # noqa: S310 loopback
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=RESPONSE_TIMEOUT_S) as response:  # noqa: S310
            result = response.read()
        return _read(result, (time.perf_counter() - began) * 1000)


@contextmanager
def emulated(layout: Layout, family: str, environment: dict[str, str], log: Path | None = None) -> Iterator[Emulator]:
    """Run a family's built function with its environment variables; its log lines go to ``log``.

    If ``environment`` names an exec wrapper, it starts the function as on Lambda.
    """
    [emulator, api] = _free_ports(2)
    paths = layout.paths(family)
    command: list[str | Path] = [paths.interpreter, "-m", "awslambdaric", "app.handler"]
    if WRAPPER in environment:
        command.insert(0, paths.opt / Path(environment[WRAPPER]).relative_to("/opt"))
        if not layout.rejection:
            environment = {"PYTHONPATH": str(paths.runtime)} | environment
    addresses = ["--runtime-interface-emulator-address", emulator, "--runtime-api-address", api]
    with (log or Path(os.devnull)).open("ab") as lines:
        command = [paths.emulator, *addresses, *command]
        process = layout.start(family, command, environment, stdout=lines, stderr=subprocess.STDOUT)
        try:
            _await_start(emulator, process)
            yield Emulator(f"http://{emulator}")
        finally:
            process.terminate()
            process.wait()


def _free_ports(count: int) -> list[str]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
    for listener in listeners:
        listener.close()
    return addresses


def _await_start(address: str, process: subprocess.Popen[bytes]) -> None:
    host, port = address.split(":")
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with closing(socket.create_connection((host, int(port)), timeout=1)):
                return
        except OSError:
            time.sleep(0.05)
    raise URLError("Lambda's runtime emulator did not start.")


def _read(result: bytes, elapsed_ms: float) -> FunctionResponse:
    """Parse a buffered response, or a streamed one's prelude, eight NULs and body (Lambda developer guide)."""
    prelude, prelude_end, streamed_body = result.partition(b"\0" * 8)
    head = json.loads(prelude)
    if not isinstance(head, dict) or "statusCode" not in head:
        raise ValueError(f"The function failed: {result[:2000]!r}")
    repeated = {name: values[0] for name, values in (head.get("multiValueHeaders") or {}).items()}
    headers = {name.lower(): str(value) for name, value in (repeated | (head.get("headers") or {})).items()}
    if prelude_end:
        return FunctionResponse(head["statusCode"], headers, streamed_body, streamed=True, elapsed_ms=elapsed_ms)
    text = head.get("body") or ""
    body = base64.b64decode(text) if head.get("isBase64Encoded") else text.encode()
    return FunctionResponse(head["statusCode"], headers, body, streamed=False, elapsed_ms=elapsed_ms)
