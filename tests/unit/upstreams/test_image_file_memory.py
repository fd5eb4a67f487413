"""The memory of images that an upstream has as files: sightings, expiry, its bound, and what is to be deleted."""

from obscura.upstreams.image_file_memory import KEPT_S, ImageFileKey, ImageFileMemory

KEY = ImageFileKey("a", b"1" * 32)


class FakeClock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def uploaded(memory: ImageFileMemory, key: ImageFileKey, file_id: str, lasts_s: float = 100.0) -> None:
    while not memory.begin_upload(key):
        memory.see(key)
    memory.uploaded(key, file_id, lasts_s)


def test_an_image_is_due_at_its_second_sighting_and_once() -> None:
    memory = ImageFileMemory()
    assert not memory.begin_upload(KEY)
    assert memory.see(KEY) is None
    assert not memory.begin_upload(KEY)
    memory.see(KEY)
    assert memory.begin_upload(KEY)
    assert not memory.begin_upload(KEY)
    assert memory.see(KEY) is None
    memory.uploaded(KEY, "file-1", 100.0)
    assert memory.see(KEY) == "file-1"
    assert not memory.begin_upload(KEY)


def test_no_other_project_gets_its_id() -> None:
    memory = ImageFileMemory()
    uploaded(memory, KEY, "file-1")
    assert memory.see(ImageFileKey("b", KEY.sha256)) is None
    assert memory.see(KEY) == "file-1"


def test_a_file_is_forgotten_when_it_expires_however_often_it_is_seen() -> None:
    clock = FakeClock()
    memory = ImageFileMemory(clock=clock)
    uploaded(memory, KEY, "file-1", 100.0)
    clock.now_s = 99.9
    assert memory.see(KEY) == "file-1"
    clock.now_s = 100.0
    assert memory.see(KEY) is None
    assert memory.dropped == ["file-1"]
    assert not memory.begin_upload(KEY)  # that was its first sighting again


def test_what_is_not_seen_for_a_day_is_forgotten_at_another_ones_sighting() -> None:
    clock = FakeClock()
    memory = ImageFileMemory(clock=clock)
    memory.see(KEY)
    uploaded(memory, ImageFileKey("a", b"2" * 32), "file-2", KEPT_S)
    clock.now_s = KEPT_S + 1
    memory.see(ImageFileKey("b", KEY.sha256))
    assert len(memory) == 1
    assert memory.dropped == ["file-2"]


def test_the_least_recently_seen_ones_are_dropped_first() -> None:
    memory = ImageFileMemory(max_entries=2)
    first, second, third = (ImageFileKey("a", bytes([number]) * 32) for number in range(3))
    uploaded(memory, first, "file-1")
    uploaded(memory, second, "file-2")
    memory.see(first)
    memory.see(third)
    assert len(memory) == 2
    assert memory.dropped == ["file-2"]
    assert memory.see(first) == "file-1"


def test_a_file_of_a_forgotten_image_is_to_be_deleted() -> None:
    memory = ImageFileMemory()
    memory.see(KEY)
    memory.see(KEY)
    assert memory.begin_upload(KEY)
    memory.forget(KEY)
    memory.uploaded(KEY, "file-1", 100.0)
    assert memory.see(KEY) is None
    assert memory.clear() == ["file-1"]
    assert not memory.dropped
    assert len(memory) == 0
