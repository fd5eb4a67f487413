"""Stored images in requests: prepared at their first use, and read in their prepared form from then on (ADR 32)."""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec

from obscura.auth.access import Principal
from obscura.documents.base import MEDIA_TYPE
from obscura.errors import FileNotFound, StorageFull, StoreUnavailable, UnsupportedImageFormat
from obscura.files.base import prepared_blob
from obscura.files.service import FileService, find_file, image_error, read_original, require_storage_allowed
from obscura.imaging import Detail, ImageError, ImageLimits, PreparedImage, prepare

PREPARATION_VERSION = 2
"""Raise it whenever the preparation of images changes: older prepared forms are then replaced."""


@dataclass(frozen=True, slots=True)
class StoredImages:
    """The stored images that one caller may use."""

    principal: Principal
    service: FileService

    async def prepared(self, file_id: str, detail: str) -> PreparedImage:
        """Return a stored image, prepared for a detail.

        Raises FileNotFound, RetentionConflict for a zero-retention request, or the image's errors.
        """
        if not self.principal.anonymous:
            require_storage_allowed(self.principal)
        service = self.service
        file = await find_file(file_id, self.principal, service.storage, service.clock.now())
        if file.media_type == MEDIA_TYPE:
            raise UnsupportedImageFormat("The file is a PDF. Send its id in a document, not in an image.")
        name = prepared_blob(file.id, detail)
        blob = await service.storage.blobs.get(name)
        flatten_onto = service.image_limits.flatten_onto
        prepared = _unpack(blob, flatten_onto) if blob else None
        if prepared is None:
            original = await read_original(file, service.storage)
            prepared = await service.executor.run(partial(_prepare, original, detail, service.image_limits))
            await self._store(name, file.id, _pack(prepared, flatten_onto))
        return prepared

    async def _store(self, name: str, file_id: str, packed: bytes) -> None:
        """Store a prepared form; it must neither fail the request nor outlive a file that was deleted meanwhile."""
        service = self.service
        with suppress(StoreUnavailable, StorageFull):
            await service.storage.blobs.put(name, packed)
            try:
                await find_file(file_id, self.principal, service.storage, service.clock.now())
            except FileNotFound:
                await service.storage.blobs.put(name, b"")


def _prepare(original: bytes, detail: str, limits: ImageLimits) -> PreparedImage:
    try:
        return prepare(original, Detail(detail), limits)
    except ImageError as error:
        raise image_error(error) from None


class _Header(msgspec.Struct):
    """A PreparedImage but for its bytes and timings; stored, so the names in JSON stay as they are."""

    version: int = msgspec.field(name="as_of")
    media_type: str
    width_px: int
    height_px: int
    source_format: str
    source_bytes: int
    source_width_px: int
    source_height_px: int
    unchanged: bool = msgspec.field(name="kept")
    flatten_onto: tuple[int, int, int] = (255, 255, 255)


def _pack(prepared: PreparedImage, flatten_onto: tuple[int, int, int]) -> bytes:
    """Return the header as one line of JSON, then the bytes."""
    header = _Header(
        version=PREPARATION_VERSION,
        media_type=prepared.media_type,
        width_px=prepared.width_px,
        height_px=prepared.height_px,
        source_format=prepared.source_format,
        source_bytes=prepared.source_bytes,
        source_width_px=prepared.source_width_px,
        source_height_px=prepared.source_height_px,
        unchanged=prepared.unchanged,
        flatten_onto=flatten_onto,
    )
    return msgspec.json.encode(header) + b"\n" + prepared.data


def _unpack(blob: bytes, flatten_onto: tuple[int, int, int]) -> PreparedImage | None:
    """Return what ``_pack`` wrote; None if it is of another version or was flattened onto another colour."""
    line_end = blob.find(b"\n")
    try:
        header = msgspec.json.decode(memoryview(blob)[:line_end], type=_Header)
    except msgspec.DecodeError:
        return None
    if header.version != PREPARATION_VERSION or header.flatten_onto != flatten_onto:
        return None
    return PreparedImage(
        data=blob[line_end + 1 :],
        media_type=header.media_type,
        width_px=header.width_px,
        height_px=header.height_px,
        source_format=header.source_format,
        source_bytes=header.source_bytes,
        source_width_px=header.source_width_px,
        source_height_px=header.source_height_px,
        unchanged=header.unchanged,
    )
