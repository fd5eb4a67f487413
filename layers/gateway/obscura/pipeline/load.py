"""Load: each picture's bytes, all at once; data URLs are only looked at, and decoded where they are prepared."""

from collections.abc import Sequence

from obscura.errors import FileNotFound, InvalidImageUrl, ObscuraError
from obscura.pipeline.concurrently import first_failure_of
from obscura.ports import ImageSource
from obscura.wire.data_url import base64_of, is_data_url
from obscura.wire.dialect import ImageSlot, SourceKind
from obscura.wire.json_text import unescape

type Loaded = memoryview | bytes
"""Base64 still in its JSON string, or the bytes that a URL gave."""

LONGEST_URL = 16 * 1024


async def load(slots: Sequence[ImageSlot], images: ImageSource) -> list[Loaded]:
    """Give each slot's source, in order; raises the first failure, with the slot's path as its param."""
    return await first_failure_of([_load(slot, images) for slot in slots])


async def _load(slot: ImageSlot, images: ImageSource) -> Loaded:
    try:
        if slot.kind is SourceKind.BASE64:
            return slot.source
        if slot.kind is SourceKind.FILE_ID:
            raise FileNotFound("There is no file with this id. Send the picture as an https or data URL.")
        if is_data_url(slot.source):
            return base64_of(slot.source)
        if len(slot.source) > LONGEST_URL:
            raise InvalidImageUrl("The image URL is too long. Send an https URL or a base64 data URL.")
        return await images.fetch(unescape(slot.source))
    except ObscuraError as refusal:
        refusal.param = slot.path
        raise
