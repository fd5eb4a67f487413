"""Cache of descriptions of images, in this process's memory alone (ADR 186)."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from time import monotonic

TTL_S = 24 * 60 * 60
MAX_BYTES = 8 * 1024 * 1024
ENTRY_BYTES = 500
"""What an entry takes beside its text: its key, and its place in the table."""


@dataclass(frozen=True, slots=True)
class DescriptionKey:
    """Whose image it is, by which model it was described, and the SHA-256 of its prepared bytes.

    The project is in it, since a description is made of an image's content: no project gets, or learns of, what was
    made of another one's images.
    """

    project: str
    model: str
    sha256: bytes


class DescriptionCache:
    """Descriptions that were moderated, the least recently used ones dropped first. Safe in any thread."""

    def __init__(self, max_bytes: int = MAX_BYTES, ttl_s: float = TTL_S) -> None:
        """Hold at most ``max_bytes`` of texts and entries, each for ``ttl_s``."""
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._bytes = 0
        self._texts: OrderedDict[DescriptionKey, tuple[str, float]] = OrderedDict()
        self._lock = Lock()

    @property
    def size_bytes(self) -> int:
        """The bytes that it holds."""
        return self._bytes

    def get(self, key: DescriptionKey) -> str | None:
        """Return a description that has not expired, which becomes the most recently used one, or None."""
        with self._lock:
            text, expires_at_s = self._texts.get(key, (None, 0.0))
            if text is None:
                return None
            if expires_at_s <= monotonic():
                self._drop(key)
                return None
            self._texts.move_to_end(key)
            return text

    def add(self, key: DescriptionKey, text: str) -> None:
        """Cache a description, unless it is larger than the cache."""
        if _size_bytes(text) > self._max_bytes:
            return
        with self._lock:
            if key in self._texts:
                self._drop(key)
            self._texts[key] = text, monotonic() + self._ttl_s
            self._bytes += _size_bytes(text)
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._texts)))

    def _drop(self, key: DescriptionKey) -> None:
        text, _ = self._texts.pop(key)
        self._bytes -= _size_bytes(text)


def _size_bytes(text: str) -> int:
    return 4 * len(text) + ENTRY_BYTES  # a character takes four bytes at most
