"""Cache of prepared images, in this process's memory alone: a conversation sends its images with each turn (ADR 69)."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from obscura.access_record import ImageRecord
from obscura.imaging import Detail, ImageLimits

ENTRY_BYTES = 1_000
"""What an entry takes beside its data URL: its key, its record, and its place in the table; about 800 bytes."""


@dataclass(frozen=True, slots=True)
class ImageKey:
    """An image as it was sent, by the SHA-256 of its bytes or base64, and all that its preparation depends on."""

    sha256: bytes
    encoded: bool
    detail: Detail
    limits: ImageLimits

    @classmethod
    def of(cls, source: memoryview | bytes, detail: Detail, limits: ImageLimits) -> "ImageKey":
        """Return the key of fetched bytes, or of base64 as it was sent, which is not decoded; not on the event loop."""
        return cls(hashlib.sha256(source).digest(), isinstance(source, memoryview), detail, limits)


@dataclass(frozen=True, slots=True)
class CachedImage:
    """A prepared image as an ASCII data URL, its size, and its line in the access record (without its tokens).

    ``source_sha256`` is that of what was sent, in hexadecimal, where hash lists ask for it.
    """

    data_url: bytes
    width_px: int
    height_px: int
    record: ImageRecord
    source_sha256: str = ""


class ImageCache:
    """Prepared images, the least recently used ones dropped first. Safe in any thread."""

    def __init__(self, max_bytes: int) -> None:
        """Hold at most ``max_bytes`` of data URLs and entries."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._images: OrderedDict[ImageKey, CachedImage] = OrderedDict()
        self._lock = Lock()

    @property
    def size_bytes(self) -> int:
        """The bytes that it holds."""
        return self._bytes

    def get(self, key: ImageKey) -> CachedImage | None:
        """Return a cached image, which becomes the most recently used one, or None."""
        with self._lock:
            image = self._images.get(key)
            if image is not None:
                self._images.move_to_end(key)
            return image

    def add(self, key: ImageKey, image: CachedImage) -> None:
        """Cache an image, unless it is larger than the cache."""
        if _size_bytes(image) > self._max_bytes:
            return
        with self._lock:
            if (replaced := self._images.pop(key, None)) is not None:
                self._bytes -= _size_bytes(replaced)
            self._images[key] = image
            self._bytes += _size_bytes(image)
            while self._bytes > self._max_bytes:
                _, dropped = self._images.popitem(last=False)
                self._bytes -= _size_bytes(dropped)


def _size_bytes(image: CachedImage) -> int:
    return len(image.data_url) + ENTRY_BYTES
