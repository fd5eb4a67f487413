"""An exact search among PDQ hashes: every hash within a distance, in far less time than comparing with each.

Multi-index hashing (Norouzi, Punjani, Fleet: "Fast Exact Search in Hamming Space with Multi-Index Hashing", 2014): two
hashes of 256 bits that differ in at most 31 have a band, of 16 of 16 bits, in which they differ in at most one.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

MAX_DISTANCE = 31
"""The largest distance of which the search finds everything."""

_BANDS, _BAND_BITS = 16, 16
_BAND_VALUES = 1 << _BAND_BITS
_HASH_BYTES = _BANDS * _BAND_BITS // 8


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A hash that is close: its place in the sequence that was indexed, and in how many bits it differs."""

    entry: int
    distance: int


class PdqIndex:
    """Hashes of 256 bits, which are not changed any more: about 140 bytes for each, and 4 MB."""

    def __init__(self, hashes: Iterable[int]) -> None:
        """Index ``hashes``, of which one that is there twice is found twice. Takes 4 s for a million."""
        self._hashes = list(hashes)
        packed = b"".join(bits.to_bytes(_HASH_BYTES, "little") for bits in self._hashes)
        words = array("H", packed)
        self._bands = [_band(words[band::_BANDS]) for band in range(_BANDS)]

    def __len__(self) -> int:
        """How many hashes there are."""
        return len(self._hashes)

    def nearest(self, bits: int, distance: int = MAX_DISTANCE) -> Neighbour | None:
        """Return the closest hash within ``distance``, the first of those that are equally close; None without one."""
        return min(self.within(bits, distance), key=lambda found: (found.distance, found.entry), default=None)

    def within(self, bits: int, distance: int = MAX_DISTANCE) -> list[Neighbour]:
        """Return every hash within ``distance``, in no order.

        Raises ValueError for one over ``MAX_DISTANCE``, for which the search would miss some.
        """
        if not 0 <= distance <= MAX_DISTANCE:
            raise ValueError(f"A distance is 0 to {MAX_DISTANCE}, not {distance}.")
        hashes = self._hashes
        close = {entry for entry in self._candidates(bits) if (hashes[entry] ^ bits).bit_count() <= distance}
        return [Neighbour(entry, (hashes[entry] ^ bits).bit_count()) for entry in close]

    def _candidates(self, bits: int) -> list[int]:
        candidates: list[int] = []
        for (starts, entries), value in zip(self._bands, array("H", bits.to_bytes(_HASH_BYTES, "little")), strict=True):
            for near in _NEAR:
                start, end = starts[value ^ near], starts[(value ^ near) + 1]
                if start != end:
                    candidates += entries[start:end]
        return candidates


_NEAR = (0, *(1 << bit for bit in range(_BAND_BITS)))
"""What a band is combined with: nothing, and each single bit."""

type _Band = tuple[array[int], array[int]]


def _band(values: array[int]) -> _Band:
    """Return where the entries of each value begin, and the entries, sorted by their value in this band.

    A loop in Python, since a sort in C would keep the interpreter's lock, and hold the event loop, for a second.
    """
    counts = [0] * _BAND_VALUES
    for value in values:
        counts[value] += 1
    starts = array("I", accumulate(counts, initial=0))
    following = starts.tolist()
    entries = array("I", bytes(len(values) * starts.itemsize))
    for entry, value in enumerate(values):
        place = following[value]
        entries[place] = entry
        following[value] = place + 1
    return starts, entries
