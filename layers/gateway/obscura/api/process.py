"""How the process keeps its memory: large buffers from the heap, whose pages the next request finds in place.

glibc maps each large buffer afresh by default, and every fresh page costs a fault: 10 ms for the body of a 10 MB
image, and as much again for its bytes, most of it on the event loop or under the interpreter's lock.
"""

import ctypes
import sys

# The names and numbers of glibc's <malloc.h>; mallopt(3) says what they mean.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

MAX_HEAP_BUFFER_BYTES = 64 * 1024 * 1024
MAX_FREE_BYTES = 256 * 1024 * 1024


def tune_malloc() -> None:
    """Let freed buffers be reused, up to ``MAX_FREE_BYTES`` of them; without glibc nothing changes.

    Call it before the first thread begins: with one arena, what a thread frees is there for every other.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, MAX_HEAP_BUFFER_BYTES)
        mallopt(_M_TRIM_THRESHOLD, MAX_FREE_BYTES)
