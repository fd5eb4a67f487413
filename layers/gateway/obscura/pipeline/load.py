"""Load: each picture's bytes, all at once; data URLs are only looked at, and decoded where they are prepared."""

from collections.abc import Sequence
from typing import Protocol

from obscura.errors import InvalidImageUrl, ObscuraError
from obscura.imaging import PreparedImage
from obscura.pipeline.concurrently import first_failure_of
from obscura.ports import ImageSource
from obscura.wire.data_url import base64_of, is_data_url
from obscura.wire.dialect import ImageSlot, SourceKind
from obscura.wire.json_text import unescape

type Loaded = memoryview | bytes | PreparedImage
"""Base64 still in its JSON string, the bytes that a URL gave, or a stored picture, prepared already."""

LONGEST_URL = 16 * 1024


class StoredSource(Protocol):
    """The pictures that the caller has stored."""

    async def prepared(self, file_id: str, detail: str) -> PreparedImage:
        """Give a stored picture as it is prepared for a detail; raises FileNotFound or RetentionConflict."""
        ...


async def load(slots: Sequence[ImageSlot], images: ImageSource, stored: StoredSource) -> list[Loaded]:
    """Give each slot's source, in order; raises the first failure, with the slot's path as its param."""
    return await first_failure_of([_load(slot, images, stored) for slot in slots])


async def _load(slot: ImageSlot, images: ImageSource, stored: StoredSource) -> Loaded:
    try:
        if slot.kind is SourceKind.BASE64:
            return slot.source
        if slot.kind is SourceKind.FILE_ID:
            return await stored.prepared(unescape(slot.source), slot.detail)
        if is_data_url(slot.source):
            return base64_of(slot.source)
        if len(slot.source) > LONGEST_URL:
            raise InvalidImageUrl("The image URL is too long. Send an https URL or a base64 data URL.")
        return await images.fetch(unescape(slot.source))
    except ObscuraError as refusal:
        refusal.param = slot.path
        raise
