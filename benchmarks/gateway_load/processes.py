"""Child processes that are always ended: when the block is left, when their time is up, when they never get ready."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

MOST_S = 3600
"""No child outlives this, whatever happens to the benchmark's own plan."""


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    port: int,
    log: Path,
    env: Mapping[str, str] | None = None,
    ready_within_s: float = 60,
) -> Iterator[int]:
    """Run a server until the block is left; give its process id once it listens on ``port``.

    Its output goes to ``log``, whose end is in the RuntimeError that is raised when it does not come up.
    """
    with log.open("wb") as out:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | (env or {}),
            start_new_session=True,
        )
    deadline = threading.Timer(MOST_S, _signal, (child, signal.SIGKILL))
    deadline.daemon = True
    deadline.start()
    try:
        _wait_until_listening(child, port, log, ready_within_s)
        yield child.pid
    finally:
        deadline.cancel()
        _end(child)


def _wait_until_listening(child: subprocess.Popen[bytes], port: int, log: Path, within_s: float) -> None:
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{child.args!r} does not listen on {port}: {log.read_text(errors='replace')[-1500:]}")


def _end(child: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(child, number)
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue
        break
    _signal(child, signal.SIGKILL)  # what is left of its group


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return
