"""One file, cut and damaged in many ways, through ``prepare`` in a process of its own.

Run as a module, it is that process: the file on standard input, what came of it as JSON on standard output. A crash of
a decoder ends the process, and with it the test.
"""

import json
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from obscura.imaging import Detail, ImageError, prepare
from tests.security.images.measured import REPOSITORY, peak_mb

CUT_EVERY_BYTES = 64
MUTATIONS = 300
_EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\x10\0\0\0")


@dataclass(frozen=True)
class Outcome:
    prepared: int
    rejected: int
    codes: list[str]
    slowest_s: float
    peak_mb: float


def damaged_in_a_child(data: bytes) -> Outcome:
    command = [sys.executable, "-m", __name__]
    child = subprocess.run(command, input=data, capture_output=True, check=True, cwd=REPOSITORY, timeout=55)
    return Outcome(**json.loads(child.stdout))


def _variants(data: bytes) -> list[bytes]:
    chance = random.Random(20_260_901)  # noqa: S311 - the same damage on every run
    variants = [data[:cut] for cut in range(CUT_EVERY_BYTES, len(data), CUT_EVERY_BYTES)]
    for _ in range(MUTATIONS):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            at = chance.randrange(len(damaged) if chance.random() < 0.5 else min(len(damaged), 600))
            match chance.randrange(4):
                case 0:
                    damaged[at] = chance.randrange(256)
                case 1:
                    damaged[at] ^= 1 << chance.randrange(8)
                case 2:
                    damaged[at : at + 4] = chance.choice(_EXTREMES)
                case _:
                    damaged[at:at] = damaged[at : at + chance.randrange(1, 40)]
        variants.append(bytes(damaged))
    return variants


def _main() -> None:
    prepared, codes, slowest_s = 0, [], 0.0
    for variant in _variants(sys.stdin.buffer.read()):
        begun_s = time.process_time()
        try:
            prepare(variant, Detail.LOW)
            prepared += 1
        except ImageError as error:
            codes.append(error.code)
        slowest_s = max(slowest_s, time.process_time() - begun_s)
    outcome = Outcome(prepared, len(codes), sorted(set(codes)), slowest_s, peak_mb())
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    _main()
