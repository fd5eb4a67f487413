"""``prepare`` in a process of its own, with the CPU seconds, which a busy machine does not change, and the memory.

Run as a module, it is that process: a file on standard input, its outcome as JSON on standard output.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from obscura.imaging import ImageError, prepare, warm_up

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class Measured:
    code: str | None
    width_px: int
    height_px: int
    cpu_s: float
    peak_mb: float


def prepared_in_a_child(data: bytes) -> Measured:
    command = [sys.executable, "-m", __name__]
    child = subprocess.run(command, input=data, capture_output=True, check=True, cwd=REPOSITORY, timeout=50)
    return Measured(**json.loads(child.stdout))


def peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage's maximum survives exec, and with it the size of the process that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _main() -> None:
    warm_up()
    data = sys.stdin.buffer.read()
    code, width_px, height_px = None, 0, 0
    begun_cpu_s = time.process_time()
    try:
        prepared = prepare(data)
        width_px, height_px = prepared.width_px, prepared.height_px
    except ImageError as error:
        code = error.code
    cpu_s = time.process_time() - begun_cpu_s
    measured = Measured(code, width_px, height_px, cpu_s, peak_mb())
    json.dump(asdict(measured), sys.stdout)


if __name__ == "__main__":
    _main()
