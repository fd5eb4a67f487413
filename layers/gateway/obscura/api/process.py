"""The process's memory: large buffers come from the heap, whose pages the next request reuses (ADR 6).

By default glibc maps each large buffer afresh, and every fresh page costs a page fault: 10 ms for the body of a 10 MB
image, and as much again for its bytes, most of it on the event loop or under the interpreter's lock.
"""

import ctypes
import sys

# The names and numbers of glibc's <malloc.h>; mallopt(3) explains them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

MIB = 1024 * 1024
MAX_HEAP_BUFFER_BYTES, MIN_HEAP_BUFFER_BYTES = 64 * MIB, 4 * MIB
MAX_FREE_BYTES, MIN_FREE_BYTES = 256 * MIB, 32 * MIB
HEAP_BUFFER_PART, FREE_PART = 128, 16
"""Of what the process may use: a larger buffer is mapped, and free pages past that at the heap's end are returned."""


def tune_malloc(usable_bytes: int | None = None) -> None:
    """Let freed buffers be reused, up to ``MAX_FREE_BYTES`` of them; without glibc nothing changes.

    What is free within the heap stays with the process, and the bombs of one minute leave 300 MiB of it. So a process
    that may use only ``usable_bytes`` maps its large buffers, which are gone when they are freed (ADR 87).
    Call it before the first thread starts: all threads then share one arena, so each reuses what another has freed.
    """
    buffer_bytes, free_bytes = MAX_HEAP_BUFFER_BYTES, MAX_FREE_BYTES
    if usable_bytes is not None:
        buffer_bytes = min(max(usable_bytes // HEAP_BUFFER_PART, MIN_HEAP_BUFFER_BYTES), buffer_bytes)
        free_bytes = min(max(usable_bytes // FREE_PART, MIN_FREE_BYTES), free_bytes)
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, buffer_bytes)
        mallopt(_M_TRIM_THRESHOLD, free_bytes)
