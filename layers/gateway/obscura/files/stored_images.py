"""Stored images in requests: prepared at their first use, and read in their prepared form from then on (ADR 32)."""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

import msgspec
from msgspec import UNSET, UnsetType

from obscura.auth.access import Principal
from obscura.documents.base import MEDIA_TYPE
from obscura.errors import FileNotFound, StorageFull, StoreUnavailable, UnsupportedImageFormat
from obscura.execution import Caller
from obscura.files.base import prepared_blob
from obscura.files.service import FileService, find_file, image_error, read_original, require_storage_allowed
from obscura.imaging import Detail, ImageError, ImageLimits, OutputLimits, PreparedImage, prepare
from obscura.imaging.fit import NO_LIMITS

PREPARATION_VERSION = 2
"""Raise it whenever the preparation of images changes: older prepared forms are then replaced."""


@dataclass(frozen=True, slots=True)
class StoredImages:
    """The stored images that one caller may use, within what the model's upstream takes of images.

    There is one prepared form for each detail, of the last limits that changed it (ADR 170).
    """

    principal: Principal
    service: FileService
    output: OutputLimits = NO_LIMITS

    @property
    def limits(self) -> ImageLimits:
        """The limits of their preparation."""
        return replace(self.service.image_limits, output=self.output)

    async def find(self, file_id: str, detail: str) -> "PreparedImage | StoredOriginal":
        """Return a stored image in its prepared form for a detail, or its original if it has none yet.

        Raises FileNotFound, RetentionConflict for a zero-retention request, or UnsupportedImageFormat for a PDF.
        """
        if not self.principal.anonymous:
            require_storage_allowed(self.principal)
        service = self.service
        file = await find_file(file_id, self.principal, service.storage, service.clock.now())
        if file.media_type == MEDIA_TYPE:
            raise UnsupportedImageFormat("The file is a PDF. Send its id in a document, not in an image.")
        blob = await service.storage.blobs.get(prepared_blob(file.id, detail))
        prepared = _unpack(blob, self.limits) if blob else None
        if prepared is not None and service.hash_sources and not prepared.source_sha256:
            prepared = None  # of a time without hash lists
        return prepared or StoredOriginal(self, file.id, detail, await read_original(file, service.storage))

    async def store(self, file_id: str, detail: str, prepared: PreparedImage) -> None:
        """Store a prepared form; it must neither fail the request nor outlive a file that was deleted meanwhile."""
        service = self.service
        name = prepared_blob(file_id, detail)
        with suppress(StoreUnavailable, StorageFull):
            await service.storage.blobs.put(name, _pack(prepared, self.limits))
            try:
                await find_file(file_id, self.principal, service.storage, service.clock.now())
            except FileNotFound:
                await service.storage.blobs.put(name, b"")


@dataclass(frozen=True, slots=True)
class StoredOriginal:
    """A stored image at its first use with a detail: its bytes as they were sent."""

    images: StoredImages
    file_id: str
    detail: str
    data: bytes

    async def prepare(self, caller: Caller) -> PreparedImage:
        """Prepare the image and store its prepared form; raises the image's errors."""
        service = self.images.service
        prepare_now = partial(_prepare, self.data, self.detail, self.images.limits, hash_source=service.hash_sources)
        prepared = await service.executor.run(prepare_now, caller)
        await self.images.store(self.file_id, self.detail, prepared)
        return prepared


def _prepare(original: bytes, detail: str, limits: ImageLimits, *, hash_source: bool) -> PreparedImage:
    try:
        prepared = prepare(original, Detail(detail), limits)
    except ImageError as error:
        raise image_error(error) from None
    return replace(prepared, source_sha256=sha256(original).hexdigest()) if hash_source else prepared


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
    source_sha256: str | UnsetType = UNSET
    output: str | UnsetType = UNSET
    """The limits of the model's upstream that it was made within."""


def _pack(prepared: PreparedImage, limits: ImageLimits) -> bytes:
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
        flatten_onto=limits.flatten_onto,
        output=limits.output.key if prepared.limited else UNSET,
        source_sha256=prepared.source_sha256 or UNSET,
    )
    return msgspec.json.encode(header) + b"\n" + prepared.data


def _unpack(blob: bytes, limits: ImageLimits) -> PreparedImage | None:
    """Return what ``_pack`` wrote; None if it is of another version, or would now be prepared to other bytes.

    A form that was made without limits and is within them is what would be prepared within them.
    """
    line_end = blob.find(b"\n")
    try:
        header = msgspec.json.decode(memoryview(blob)[:line_end], type=_Header)
    except msgspec.DecodeError:
        return None
    if header.version != PREPARATION_VERSION or header.flatten_onto != limits.flatten_onto:
        return None
    made_within = header.output or NO_LIMITS.key
    if made_within != limits.output.key:
        format_name = header.media_type.rpartition("/")[2].upper()
        is_within = limits.output.allow(len(blob) - line_end - 1, format_name, max(header.width_px, header.height_px))
        if made_within != NO_LIMITS.key or not is_within:
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
        source_sha256=header.source_sha256 or "",
    )
