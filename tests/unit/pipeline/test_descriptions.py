"""The cache of descriptions: bounded, by project and model, and forgotten after its time."""

from obscura.pipeline.descriptions import ENTRY_BYTES, DescriptionCache, DescriptionKey


def key(number: int, project: str = "p", model: str = "m") -> DescriptionKey:
    return DescriptionKey(project, model, bytes([number]))


def test_the_least_recently_used_ones_are_dropped() -> None:
    cache = DescriptionCache(max_bytes=3 * (ENTRY_BYTES + 4))
    for number in range(3):
        cache.add(key(number), str(number))
    cache.get(key(0))
    cache.add(key(3), "3")

    assert [cache.get(key(number)) for number in range(4)] == ["0", None, "2", "3"]
    assert cache.size_bytes == 3 * (ENTRY_BYTES + 4)


def test_one_that_is_replaced_is_counted_once_and_one_too_large_not_at_all() -> None:
    cache = DescriptionCache(max_bytes=ENTRY_BYTES + 40)
    cache.add(key(0), "a")
    cache.add(key(0), "bb")
    cache.add(key(1), "c" * 100)

    assert cache.get(key(0)) == "bb"
    assert cache.get(key(1)) is None
    assert cache.size_bytes == ENTRY_BYTES + 8


def test_a_description_belongs_to_its_project_and_model() -> None:
    cache = DescriptionCache()
    cache.add(key(0), "a")

    assert cache.get(key(0, project="q")) is None
    assert cache.get(key(0, model="n")) is None


def test_it_expires() -> None:
    cache = DescriptionCache(ttl_s=0)
    cache.add(key(0), "a")

    assert cache.get(key(0)) is None
    assert cache.size_bytes == 0
