"""The file operations: store, find, read and delete; they alone decide the order of the two stores (ADR 30)."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from obscura.auth.access import Principal
from obscura.clock import Clock
from obscura.dialects.file_ids import is_file_id
from obscura.documents.base import MEDIA_TYPE, DocumentLimits, is_pdf, require_pdf
from obscura.documents.render import DocumentRenderer
from obscura.errors import (
    FileNotFound,
    ImageTooLarge,
    ImageTooManyPixels,
    InvalidImage,
    MissingCredentials,
    ObscuraError,
    RetentionConflict,
    StorageFull,
    StoreUnavailable,
    UnsupportedImageDimensions,
    UnsupportedImageFormat,
)
from obscura.execution import Caller, ImageExecutor
from obscura.files.base import (
    UNLIMITED,
    FileAttributes,
    FileStorage,
    StorageLimits,
    StoredFile,
    blob_names,
    new_id,
    original_blob,
)
from obscura.imaging import Detail, ImageError, ImageLimits, prepare
from obscura.imaging.formats import FORMATS
from obscura.memory_budget import request_memory

MAX_RECLAIMS = 20
"""How often a full project's expired files are looked for, some at a time, before it is refused."""


@dataclass(frozen=True, slots=True)
class FileService:
    """What the file operations need: the stores, what decodes images and reads PDFs, the limits, the time of day."""

    storage: FileStorage
    executor: ImageExecutor
    image_limits: ImageLimits
    clock: Clock
    documents: DocumentRenderer
    document_limits: DocumentLimits
    project_limits: StorageLimits = UNLIMITED
    hash_sources: bool = False
    """Whether prepared forms carry the SHA-256 of their source, which hash lists are compared with."""

    def limits_of(self, principal: Principal) -> StorageLimits:
        """Return how much the caller's project may have stored: its key's own limits, or else the deployment's."""
        common = self.project_limits
        return StorageLimits(
            common.max_bytes if principal.max_storage_bytes is None else principal.max_storage_bytes,
            common.max_files if principal.max_files is None else principal.max_files,
        )


def require_project(principal: Principal) -> None:
    """Raise MissingCredentials for an anonymous caller, who has no project to own files."""
    if principal.anonymous:
        raise MissingCredentials("Files belong to a project. Send a key: 'Authorization: Bearer obs_…'.")


def require_storage_allowed(principal: Principal) -> None:
    """Raise MissingCredentials for an anonymous caller, RetentionConflict for a zero-retention request."""
    require_project(principal)
    if principal.zero_retention:
        raise RetentionConflict(
            "This is a zero-retention request: nothing of it is stored, and nothing stored is used. "
            "Send the image itself, or use a key without zero retention."
        )


async def store_file(  # noqa: PLR0913, PLR0917 what is stored, for whom, within what
    content: bytes | bytearray,
    attributes: FileAttributes,
    principal: Principal,
    service: FileService,
    at: datetime,
    limits: StorageLimits | None = None,
) -> StoredFile:
    """Validate an image or a PDF as in any request, and store it; raises its errors with the param ``file``.

    ``limits`` are those of the caller's project unless given; past them it raises StorageFull.
    """
    storage = service.storage
    limits = limits or service.limits_of(principal)
    await purge_expired(principal, storage, at)
    await require_space(principal.project, len(content), limits, storage, at)
    caller = principal.caller
    copied = await service.executor.run_light(partial(bytes, content), caller)
    original, media_type = await _validate(copied, caller, service)
    created_at = at.replace(microsecond=0)
    file = StoredFile(
        id=new_id("file", at),
        project=principal.project,
        filename=attributes.filename,
        purpose=attributes.purpose,
        media_type=media_type,
        size_bytes=len(original),
        created_at=created_at,
        expires_at=created_at + timedelta(seconds=attributes.ttl_s),
    )
    await add_file(file, original, storage, limits)
    return file


async def add_file(file: StoredFile, content: bytes, storage: FileStorage, limits: StorageLimits) -> None:
    """Store a file's bytes and its record, or neither; raises StorageFull past the limits of its project."""
    try:
        await storage.blobs.put(original_blob(file.id), content)
        if not await storage.files.add(file, limits):
            raise project_full(limits)
    except BaseException:  # the task may be cancelled: its bytes would have no record
        with suppress(ObscuraError):
            await storage.blobs.delete([original_blob(file.id)])
        raise


async def find_file(file_id: str, principal: Principal, storage: FileStorage, at: datetime) -> StoredFile:
    """Return a caller's file; raises FileNotFound for one of another project, an expired or deleted one, or none."""
    file = (
        await storage.files.find(principal.project, file_id)
        if is_file_id(file_id) and not principal.anonymous
        else None
    )
    if file is None or file.expires_at <= at:
        raise file_not_found()
    return file


async def read_original(file: StoredFile, storage: FileStorage) -> bytes:
    """Return the bytes as they were sent; raises FileNotFound if they are being deleted, Overloaded."""
    await request_memory().add(file.size_bytes)
    original = await storage.blobs.get(original_blob(file.id))
    if original is None:
        raise file_not_found()
    return original


async def delete_file(file_id: str, principal: Principal, storage: FileStorage, at: datetime) -> None:
    """Delete a caller's file irrevocably; raises FileNotFound."""
    file = await find_file(file_id, principal, storage, at)
    if not await expire_and_delete(file, storage, at):
        raise file_not_found()


async def expire_and_delete(file: StoredFile, storage: FileStorage, at: datetime) -> bool:
    """Expire a file, then delete it; False if it was deleted by another request before, or had expired by itself.

    Once expired it is never found again; if its bytes cannot be deleted now, a later ``purge_expired`` does.
    """
    expired = await storage.files.expire(file.project, file.id, at)
    await purge(file, storage)
    return expired


async def purge_expired(principal: Principal, storage: FileStorage, at: datetime) -> None:
    """Delete expired files irrevocably; one that cannot be deleted now does not fail the request."""
    for file in await storage.files.expired(principal.project, at):
        with suppress(StoreUnavailable):
            await purge(file, storage)


async def require_space(
    project: str, size_bytes: int, limits: StorageLimits, storage: FileStorage, at: datetime
) -> None:
    """Raise StorageFull if a project has no space for a file of this size, once its expired files are deleted."""
    for _ in range(MAX_RECLAIMS):
        if await storage.files.has_space(project, size_bytes, limits, at):
            return
        expired = await storage.files.expired(project, at)
        if not expired:
            break
        for file in expired:
            await purge(file, storage)
    raise project_full(limits)


def project_full(limits: StorageLimits) -> StorageFull:
    """Return the error of a project that has stored as much as it may."""
    return StorageFull(
        f"Your project has no space for it: it may store {limits.max_bytes / 2**20:,.0f} MiB in {limits.max_files:,} "
        "files, and a pending upload counts twice its size. Delete files, let some expire, or ask the operator."
    )


async def purge(file: StoredFile, storage: FileStorage) -> None:
    """Delete a file's bytes, then its metadata."""
    await storage.blobs.delete(blob_names(file.id))
    await storage.files.delete(file.project, file.id)


def file_not_found() -> FileNotFound:
    """Return the one error for every file that a caller may not have: it reveals nothing of other projects' files."""
    return FileNotFound("There is no file with this id in your project: it expired, was deleted, or never existed.")


async def _validate(original: bytes, caller: Caller, service: FileService) -> tuple[bytes, str]:
    """Check the structure and the pages of a PDF, or decode an image; return its bytes and media type."""
    if not is_pdf(original) or any(known.recognizes(original) for known in FORMATS.values()):
        return await service.executor.run(partial(_validate_image, original, service.image_limits), caller)
    try:
        require_pdf(original, service.document_limits.stored_bytes)
        await service.documents.count_pages(original, service.document_limits, caller)
    except ObscuraError as error:
        raise error.at("file") from None
    return original, MEDIA_TYPE


def _validate_image(original: bytes, limits: ImageLimits) -> tuple[bytes, str]:
    """Decode the whole image, at the smallest scale; return its bytes and media type."""
    try:
        prepared = prepare(original, Detail.LOW, limits)
    except ImageError as error:
        raise image_error(error, "file") from None
    return original, prepared.source_media_type


IMAGE_ERRORS: dict[str, type[ObscuraError]] = {
    error.code: error
    for error in (UnsupportedImageFormat, InvalidImage, ImageTooLarge, ImageTooManyPixels, UnsupportedImageDimensions)
}
"""The errors of ``obscura.imaging``, which has its own ``ImageError`` and imports nothing of Obscura, by code."""


def image_error(error: ImageError, param: str | None = None) -> ObscuraError:
    """Return the error that callers get for an ``ImageError`` of the imaging layer."""
    return IMAGE_ERRORS[error.code](error.message, param=param)
