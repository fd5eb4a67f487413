"""A built function in Lambda's runtime emulator, which comes with the SAM CLI: no Docker, one call at a time.

The emulator buffers streamed answers and hands their prelude on unread, cuts off events over 6 MB, and dies of two
calls at once. Both of its addresses are given: by default it would listen on every interface.
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

STARTED_WITHIN_S = 30
ANSWERED_WITHIN_S = 60
INVOCATIONS = "/2015-03-31/functions/function/invocations"
WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"


@dataclass(frozen=True)
class Answered:
    """A function's answer as API Gateway would pass it on; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    streamed: bool
    elapsed_ms: float

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Emulator:
    """A function that was started."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def invoke(self, event: Mapping[str, object]) -> Answered:
        """Hand over one event; raises ValueError when what comes back is no answer."""
        request = urllib.request.Request(self._origin + INVOCATIONS, json.dumps(event).encode())  # noqa: S310 loopback
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=ANSWERED_WITHIN_S) as response:  # noqa: S310
            result = response.read()
        return _read(result, (time.perf_counter() - began) * 1000)


@contextmanager
def emulated(
    layout: Layout, family: str, environment: dict[str, str], written: Path | None = None
) -> Iterator[Emulator]:
    """Run a family's built function with what its template and its role give it; its lines go to ``written``.

    The exec wrapper, where ``environment`` names one, starts the function as on Lambda.
    """
    [serving, api] = _free_ports(2)
    places = layout.places(family)
    command: list[str | Path] = [places.interpreter, "-m", "awslambdaric", "app.handler"]
    if WRAPPER in environment:
        command.insert(0, places.opt / Path(environment[WRAPPER]).relative_to("/opt"))
        if not layout.refused:
            environment = {"PYTHONPATH": str(places.runtime)} | environment
    addresses = ["--runtime-interface-emulator-address", serving, "--runtime-api-address", api]
    with (written or Path(os.devnull)).open("ab") as lines:
        command = [places.emulator, *addresses, *command]
        process = layout.start(family, command, environment, stdout=lines, stderr=subprocess.STDOUT)
        try:
            _await_start(serving, process)
            yield Emulator(f"http://{serving}")
        finally:
            process.terminate()
            process.wait()


def _free_ports(count: int) -> list[str]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in held]
    for listener in held:
        listener.close()
    return addresses


def _await_start(address: str, process: subprocess.Popen[bytes]) -> None:
    host, port = address.split(":")
    until = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with closing(socket.create_connection((host, int(port)), timeout=1)):
                return
        except OSError:
            time.sleep(0.05)
    raise URLError("Lambda's runtime emulator did not start.")


def _read(response: bytes, elapsed_ms: float) -> Answered:
    """Read a buffered answer, or a streamed one's prelude, eight NULs and body (Lambda developer guide)."""
    prelude, divided, streamed_body = response.partition(b"\0" * 8)
    answer = json.loads(prelude)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        raise ValueError(f"The function failed: {response[:2000]!r}")
    named = {name: values[0] for name, values in (answer.get("multiValueHeaders") or {}).items()}
    headers = {name.lower(): str(value) for name, value in (named | (answer.get("headers") or {})).items()}
    if divided:
        return Answered(answer["statusCode"], headers, streamed_body, streamed=True, elapsed_ms=elapsed_ms)
    text = answer.get("body") or ""
    body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
    return Answered(answer["statusCode"], headers, body, streamed=False, elapsed_ms=elapsed_ms)
