"""Pictures that are named by a file's id: prepared at their first use, and from then on read as they were prepared."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec

from obscura.errors import FileNotFound, UpstreamUnavailable
from obscura.imaging import Detail, ImageLimits, ImageRefused, PreparedImage, prepare
from obscura.pipeline.admit import Caller
from obscura.pipeline.files import check_may_store, find_file, read_original
from obscura.pipeline.prepare import refusal_of_picture
from obscura.pipeline.storeroom import Storeroom, prepared_name
from obscura.pipeline.workshop import Workshop

PREPARED_AS_OF = 1
"""Raise it whenever pictures are prepared in another way: older prepared forms are then made anew."""


@dataclass(frozen=True, slots=True)
class StoredPictures:
    """The pictures that one caller has stored."""

    caller: Caller
    storeroom: Storeroom
    workshop: Workshop
    limits: ImageLimits

    async def prepared(self, file_id: str, detail: str) -> PreparedImage:
        """Give a stored picture as it is prepared for a detail.

        Raises FileNotFound, RetentionConflict for a zero-retention caller, or what an image is refused with.
        """
        if not self.caller.anonymous:
            check_may_store(self.caller)
        file = await find_file(file_id, self.caller, self.storeroom, datetime.now(UTC))
        name = prepared_name(file.id, detail)
        kept = await self.storeroom.contents.get(name)
        prepared = _read(kept) if kept else None
        if prepared is None:
            original = await read_original(file, self.storeroom)
            prepared = await self.workshop.run(partial(_prepare, original, detail, self.limits))
            await self._keep(name, file.id, prepared)
        return prepared

    async def _keep(self, name: str, file_id: str, prepared: PreparedImage) -> None:
        """Keep a prepared form; it must neither fail the request nor outlive a file that was deleted meanwhile."""
        with suppress(UpstreamUnavailable):
            await self.storeroom.contents.put(name, _written(prepared))
            try:
                await find_file(file_id, self.caller, self.storeroom, datetime.now(UTC))
            except FileNotFound:
                await self.storeroom.contents.put(name, b"")


class _Facts(msgspec.Struct):
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
    except ImageRefused as refusal:
        raise refusal_of_picture(refusal, None) from None


def _written(prepared: PreparedImage) -> bytes:
    """Write the facts as one line of JSON, and the bytes behind it."""
    facts = {name: getattr(prepared, name) for name in _Facts.__struct_fields__ if name != "as_of"}
    return msgspec.json.encode(_Facts(as_of=PREPARED_AS_OF, **facts)) + b"\n" + prepared.data


def _read(kept: bytes) -> PreparedImage | None:
    """Read what ``_written`` wrote; None for the work of another version."""
    line_end = kept.find(b"\n")
    try:
        facts = msgspec.json.decode(memoryview(kept)[:line_end], type=_Facts)
    except msgspec.DecodeError:
        return None
    if facts.as_of != PREPARED_AS_OF:
        return None
    told = msgspec.structs.asdict(facts)
    del told["as_of"]
    return PreparedImage(data=kept[line_end + 1 :], **told)
