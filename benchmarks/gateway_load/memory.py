"""Peak resident memory of a process and its children, as Linux keeps it (``VmHWM`` in ``/proc/PID/status``)."""

from pathlib import Path

_PROC = Path("/proc")


def reset_peak(pid: int) -> None:
    """Start the peak afresh from what is resident now (``5`` to ``clear_refs``, proc(5)), where that exists."""
    for one in _family(pid):
        try:
            (_PROC / str(one) / "clear_refs").write_text("5")
        except OSError:
            continue


def peak_mb(pid: int | None) -> float | None:
    """Return the peak in MB (10⁶ bytes) since the last reset, with its children's; None off Linux."""
    if pid is None:
        return None
    peaks = [_peak_kib(one) for one in _family(pid)]
    return sum(peaks) * 1024 / 1e6 if peaks else None


def _family(pid: int) -> list[int]:
    try:
        children = [(task / "children").read_text() for task in (_PROC / str(pid) / "task").iterdir()]
    except OSError:
        return []
    return [pid, *(one for line in children for child in line.split() for one in _family(int(child)))]


def _peak_kib(pid: int) -> int:
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
