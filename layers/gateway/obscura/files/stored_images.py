"""Images that are named by a file's id: prepared at their first use, and from then on read as they were prepared."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec

from obscura.auth.access import Principal
from obscura.errors import FileNotFound, UpstreamUnavailable
from obscura.execution import ImageExecutor
from obscura.files.base import FileStorage, prepared_blob
from obscura.files.service import find_file, image_error, read_original, require_storage_allowed
from obscura.imaging import Detail, ImageError, ImageLimits, PreparedImage, prepare

PREPARATION_VERSION = 1
"""Raise it whenever images are prepared in another way: older prepared forms are then made again."""


@dataclass(frozen=True, slots=True)
class StoredImages:
    """The images that one caller has stored."""

    caller: Principal
    storage: FileStorage
    executor: ImageExecutor
    limits: ImageLimits

    async def prepared(self, file_id: str, detail: str) -> PreparedImage:
        """Return a stored image as it is prepared for a detail.

        Raises FileNotFound, RetentionConflict for a zero-retention caller, or what an image is refused with.
        """
        if not self.caller.anonymous:
            require_storage_allowed(self.caller)
        file = await find_file(file_id, self.caller, self.storage, datetime.now(UTC))
        name = prepared_blob(file.id, detail)
        kept = await self.storage.blobs.get(name)
        prepared = _unpack(kept) if kept else None
        if prepared is None:
            original = await read_original(file, self.storage)
            prepared = await self.executor.run(partial(_prepare, original, detail, self.limits))
            await self._keep(name, file.id, prepared)
        return prepared

    async def _keep(self, name: str, file_id: str, prepared: PreparedImage) -> None:
        """Keep a prepared form; it must neither fail the request nor outlive a file that was deleted meanwhile."""
        with suppress(UpstreamUnavailable):
            await self.storage.blobs.put(name, _pack(prepared))
            try:
                await find_file(file_id, self.caller, self.storage, datetime.now(UTC))
            except FileNotFound:
                await self.storage.blobs.put(name, b"")


class _CacheHeader(msgspec.Struct):
    """A PreparedImage but for its bytes and timings."""

    as_of: int
    media_type: str
    width_px: int
    height_px: int
    source_format: str
    source_bytes: int
    source_width_px: int
    source_height_px: int
    kept: bool


def _prepare(original: bytes, detail: str, limits: ImageLimits) -> PreparedImage:
    try:
        return prepare(original, Detail(detail), limits)
    except ImageError as refusal:
        raise image_error(refusal, None) from None


def _pack(prepared: PreparedImage) -> bytes:
    """Write the facts as one line of JSON, and the bytes behind it."""
    facts = {name: getattr(prepared, name) for name in _CacheHeader.__struct_fields__ if name != "as_of"}
    return msgspec.json.encode(_CacheHeader(as_of=PREPARATION_VERSION, **facts)) + b"\n" + prepared.data


def _unpack(kept: bytes) -> PreparedImage | None:
    """Read what ``_pack`` wrote; None for the work of another version."""
    line_end = kept.find(b"\n")
    try:
        facts = msgspec.json.decode(memoryview(kept)[:line_end], type=_CacheHeader)
    except msgspec.DecodeError:
        return None
    if facts.as_of != PREPARATION_VERSION:
        return None
    told = msgspec.structs.asdict(facts)
    del told["as_of"]
    return PreparedImage(data=kept[line_end + 1 :], **told)
