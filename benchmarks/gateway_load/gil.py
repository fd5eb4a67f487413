"""How long a piece of work keeps the interpreter to itself: what an event loop in another thread would feel."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_NAP_S = 50e-6


@dataclass(frozen=True, slots=True)
class Held:
    """How long a piece of work took, and the longest stretch in which no other thread got the interpreter."""

    elapsed_ms: float
    longest_hold_ms: float


def watch(work: Callable[[], object]) -> Held:
    """Run ``work`` here while another thread naps and notes its latest awakening.

    A hold is a C call that keeps the lock. Bytecode gives it up after the switch interval, which is made short here,
    so that only what cannot be interrupted is seen. Garbage of the work is freed within the time taken.
    """
    watching = threading.Event()
    over = threading.Event()
    longest = 0.0

    def look() -> None:
        nonlocal longest
        then = time.perf_counter()
        watching.set()
        while not over.is_set():
            time.sleep(_NAP_S)
            now = time.perf_counter()
            longest = max(longest, now - then - _NAP_S)
            then = now

    interval = sys.getswitchinterval()
    sys.setswitchinterval(_NAP_S)
    watcher = threading.Thread(target=look)
    watcher.start()
    watching.wait()
    longest = 0.0
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    over.set()
    watcher.join()
    sys.setswitchinterval(interval)
    return Held(took * 1e3, longest * 1e3)
