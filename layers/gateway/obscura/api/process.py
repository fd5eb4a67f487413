"""The process's memory: large buffers come from the heap, whose pages the next request reuses (ADR 6).

By default glibc maps each large buffer afresh, and every fresh page costs a page fault: 10 ms for the body of a 10 MB
image, and as much again for its bytes, most of it on the event loop or under the interpreter's lock.
"""

import ctypes
import sys

# The names and numbers of glibc's <malloc.h>; mallopt(3) explains them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

MAX_HEAP_BUFFER_BYTES = 64 * 1024 * 1024
MAX_FREE_BYTES = 256 * 1024 * 1024


def tune_malloc() -> None:
    """Let freed buffers be reused, up to ``MAX_FREE_BYTES`` of them; without glibc nothing changes.

    Call it before the first thread starts: all threads then share one arena, so each reuses what another has freed.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, MAX_HEAP_BUFFER_BYTES)
        mallopt(_M_TRIM_THRESHOLD, MAX_FREE_BYTES)
