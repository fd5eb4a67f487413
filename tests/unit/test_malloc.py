"""How the allocator is set, by the memory that the process may use."""

import ctypes
import sys
from types import SimpleNamespace

import pytest

from obscura.api.process import tune_malloc

MIB = 1024 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is set")
@pytest.mark.parametrize(
    ("usable_mib", "buffer_mib", "free_mib"),
    [(None, 64, 256), (128, 4, 32), (1024, 8, 64), (8192, 64, 256), (65536, 64, 256)],
)
def test_a_small_process_maps_large_buffers_and_keeps_little_free(
    monkeypatch: pytest.MonkeyPatch, usable_mib: int | None, buffer_mib: int, free_mib: int
) -> None:
    options: dict[int, int] = {}
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=options.__setitem__))

    tune_malloc(None if usable_mib is None else usable_mib * MIB)

    assert options == {-8: 1, -3: buffer_mib * MIB, -1: free_mib * MIB}
