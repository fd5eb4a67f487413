"""The search among PDQ hashes finds what comparing with each one finds."""

import random

import pytest

from obscura.hashes.index import MAX_DISTANCE, Neighbour, PdqIndex

HASHES = [random.Random(number).getrandbits(256) for number in range(400)]  # noqa: S311 - the same on every run


def changed(bits: int, count: int, seed: int) -> int:
    for place in random.Random(seed).sample(range(256), count):  # noqa: S311
        bits ^= 1 << place
    return bits


@pytest.mark.parametrize("distance", [0, 1, 15, 16, 30, MAX_DISTANCE])
def test_a_hash_at_the_largest_distance_is_found_and_one_further_off_is_not(distance: int) -> None:
    index = PdqIndex(HASHES)
    for entry in range(0, len(HASHES), 9):
        asked = changed(HASHES[entry], distance, seed=entry)

        found = {near.entry: near.distance for near in index.within(asked, distance)}

        assert found == {
            place: (bits ^ asked).bit_count()
            for place, bits in enumerate(HASHES)
            if (bits ^ asked).bit_count() <= distance
        }
        assert found[entry] == distance
        assert distance == 0 or index.within(asked, distance - 1) == []


def test_bits_that_differ_evenly_over_all_bands_are_found() -> None:
    spread = sum(1 << (16 * band) for band in range(16)) | sum(1 << (16 * band + 5) for band in range(15))

    assert PdqIndex(HASHES).nearest(HASHES[5] ^ spread) == Neighbour(5, 31)


def test_the_closest_one_is_returned_and_of_equal_ones_the_first() -> None:
    index = PdqIndex([changed(HASHES[3], 6, seed=1), HASHES[3], HASHES[3]])

    assert index.nearest(changed(HASHES[3], 2, seed=2)) == Neighbour(1, 2)
    assert index.nearest(HASHES[50]) is None


def test_an_index_without_hashes_finds_nothing_and_a_wider_search_is_refused() -> None:
    assert PdqIndex([]).nearest(1) is None
    with pytest.raises(ValueError, match="0 to 31"):
        PdqIndex([1]).within(1, 32)
