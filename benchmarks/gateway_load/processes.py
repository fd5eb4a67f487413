"""Child processes that always end, and what they use: CPU time and peak resident memory, as Linux counts them."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

MAX_LIFE_S = 3600
"""No child outlives this, whatever happens to the benchmark's own plan."""

_PROC = Path("/proc")


def free_port() -> int:
    """Return a loopback port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens_on(port: int) -> Callable[[], bool]:
    """Return a check for ``running``: whether a loopback port accepts connections."""

    def accepts() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return accepts


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    ready: Callable[[], bool],
    log: Path,
    env: Mapping[str, str] | None = None,
    ready_within_s: float = 60,
) -> Iterator[int]:
    """Run a server while the block runs; yield its process id once it is ``ready``.

    Its output goes to ``log``. Raises RuntimeError with the end of the log if the server does not get ready.
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
    deadline = threading.Timer(MAX_LIFE_S, _signal, (child, signal.SIGKILL))
    deadline.daemon = True
    deadline.start()
    try:
        _wait_until(ready, child, log, ready_within_s)
        yield child.pid
    finally:
        deadline.cancel()
        _end(child)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds used so far by a process and its children, all threads together.

    The clock id of another process is ``~pid << 3 | 2`` (Linux, ``clock_getcpuclockid(3)``), in nanoseconds.
    """
    return sum(time.clock_gettime(~one << 3 | 2) for one in _family(pid))


def reset_peak(pid: int) -> None:
    """Restart the peak from what is resident now (``5`` to ``clear_refs``, proc(5)), if the system has it."""
    for one in _family(pid):
        try:
            (_PROC / str(one) / "clear_refs").write_text("5")
        except OSError:
            continue


def peak_mb(pid: int | None) -> float | None:
    """Return the peak resident MB (10⁶ bytes) since the last reset, children included; None off Linux."""
    if pid is None:
        return None
    peaks = [_peak_kib(one) for one in _family(pid)]
    return sum(peaks) * 1024 / 1e6 if peaks else None


def children(pid: int) -> list[int]:
    """Return the process ids of a process's own children, none if it has ended."""
    try:
        lines = [(task / "children").read_text() for task in (_PROC / str(pid) / "task").iterdir()]
    except OSError:
        return []
    return [int(child) for line in lines for child in line.split()]


def _family(pid: int) -> list[int]:
    return [pid, *(one for child in children(pid) for one in _family(child))]


def _peak_kib(pid: int) -> int:
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def _wait_until(ready: Callable[[], bool], child: subprocess.Popen[bytes], log: Path, within_s: float) -> None:
    give_up_at_s = time.monotonic() + within_s
    while time.monotonic() < give_up_at_s and child.poll() is None:
        if ready():
            return
        time.sleep(0.1)
    raise RuntimeError(f"{child.args!r} does not get ready: {log.read_text(errors='replace')[-1500:]}")


def _end(child: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(child, number)
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue
        break
    _signal(child, signal.SIGKILL)  # the rest of its process group


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return
