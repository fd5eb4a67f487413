"""Which images an upstream has as files, and which it may soon get: in this process's memory alone (ADR 188)."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

MAX_ENTRIES = 10_000
"""Of one upstream, of 300 bytes each."""
KEPT_S = 24 * 60 * 60
"""How long an image is remembered after it was seen, and how long its file lasts at most."""
SIGHTINGS_TO_UPLOAD = 2


@dataclass(frozen=True, slots=True)
class ImageFileKey:
    """Whose image it is, and the SHA-256 of its prepared bytes: no project gets the file of another one's image."""

    project: str
    sha256: bytes


@dataclass(slots=True)
class _Entry:
    expires_at_s: float
    sightings: int = 0
    file_id: str | None = None
    uploading: bool = False


class ImageFileMemory:
    """The images of one upstream by their keys, the least recently seen ones dropped first; on one event loop.

    ``dropped`` are the ids of files that it has forgotten by itself, and that the upstream may still have.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, clock: Callable[[], float] = monotonic) -> None:
        """Hold at most ``max_entries``; ``clock`` is in seconds."""
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[ImageFileKey, _Entry] = OrderedDict()
        self.dropped: list[str] = []

    def __len__(self) -> int:
        return len(self._entries)

    def see(self, key: ImageFileKey) -> str | None:
        """Count a sighting, and return the id of the image's file, if there is one that has not expired."""
        now_s = self._clock()
        entry = self._entries.get(key)
        if entry is not None and entry.file_id is not None and entry.expires_at_s <= now_s:
            self._drop(key)
            entry = None
        if entry is None:
            entry = self._entries[key] = _Entry(now_s + KEPT_S)
        elif entry.file_id is None:
            entry.expires_at_s = now_s + KEPT_S
        entry.sightings += 1
        self._entries.move_to_end(key)
        self._drop_oldest(now_s)
        return entry.file_id

    def begin_upload(self, key: ImageFileKey) -> bool:
        """Whether an image is to be uploaded now; it is then under way until ``uploaded`` or ``forget``."""
        entry = self._entries.get(key)
        if entry is None or entry.file_id is not None or entry.uploading or entry.sightings < SIGHTINGS_TO_UPLOAD:
            return False
        entry.uploading = True
        return True

    def uploaded(self, key: ImageFileKey, file_id: str, lasts_s: float) -> None:
        """Note the file of an image that may be used for ``lasts_s``; it is dropped if the image is forgotten."""
        entry = self._entries.get(key)
        if entry is None or not entry.uploading:
            self.dropped.append(file_id)
            return
        entry.file_id, entry.uploading, entry.expires_at_s = file_id, False, self._clock() + lasts_s

    def forget(self, key: ImageFileKey) -> None:
        """Forget an image whose file the upstream does not have: it is as if it had never been seen."""
        self._entries.pop(key, None)

    def clear(self) -> list[str]:
        """Forget every image, and return the ids of all files that the upstream may have."""
        for key in list(self._entries):
            self._drop(key)
        ids, self.dropped = self.dropped, []
        return ids

    def _drop(self, key: ImageFileKey) -> None:
        file_id = self._entries.pop(key).file_id
        if file_id is not None:
            self.dropped.append(file_id)

    def _drop_oldest(self, now_s: float) -> None:
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if len(self._entries) <= self._max_entries and entry.expires_at_s > now_s:
                return
            self._drop(key)
