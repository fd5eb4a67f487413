"""Files: stored, found and deleted for real."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from obscura.auth.access import Principal
from obscura.dialects.base import is_file_id
from obscura.errors import IMAGE_ERRORS, FileNotFound, MissingCredentials, ObscuraError, RetentionConflict
from obscura.execution import ImageExecutor
from obscura.files.base import FileStorage, StoredFile, blob_names, new_id, original_blob
from obscura.files.requests import FileAttributes
from obscura.imaging import Detail, ImageError, ImageLimits, prepare


@dataclass(frozen=True, slots=True)
class FileService:
    """What files are stored with: where they are kept, where images are decoded, and within which limits."""

    storage: FileStorage
    executor: ImageExecutor
    image_limits: ImageLimits


def require_project(principal: Principal) -> None:
    """Raise MissingCredentials for an anonymous caller: nothing can be theirs."""
    if principal.anonymous:
        raise MissingCredentials("Files belong to a project. Send a key: 'Authorization: Bearer obs_…'.")


def require_storage_allowed(principal: Principal) -> None:
    """Raise MissingCredentials for an anonymous caller, RetentionConflict for one of whom nothing may be kept."""
    require_project(principal)
    if principal.zero_retention:
        raise RetentionConflict(
            "This is a zero-retention request: nothing of it is stored, and nothing stored is used. "
            "Send the image itself, or use a key without zero retention."
        )


async def store_file(
    content: bytes | bytearray, attributes: FileAttributes, principal: Principal, service: FileService, at: datetime
) -> StoredFile:
    """Check an image as any request's would be, and keep it; raises what an image is refused with, param ``file``."""
    storage = service.storage
    await purge_expired(principal, storage, at)
    original, media_type = await service.executor.run(partial(_validated, content, service.image_limits))
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
    try:
        await storage.blobs.put(original_blob(file.id), original)
        await storage.files.add(file)
    except BaseException:
        with suppress(ObscuraError):
            await storage.blobs.delete([original_blob(file.id)])
        raise
    return file


async def find_file(file_id: str, principal: Principal, storage: FileStorage, at: datetime) -> StoredFile:
    """Return a caller's file; raises FileNotFound for one that is another project's, expired, deleted, or never was."""
    file = (
        await storage.files.find(principal.project, file_id)
        if is_file_id(file_id) and not principal.anonymous
        else None
    )
    if file is None or file.expires_at <= at:
        raise file_not_found()
    return file


async def read_original(file: StoredFile, storage: FileStorage) -> bytes:
    """Return the bytes as they were sent; raises FileNotFound when they are being deleted."""
    original = await storage.blobs.get(original_blob(file.id))
    if original is None:
        raise file_not_found()
    return original


async def delete_file(file_id: str, principal: Principal, storage: FileStorage, at: datetime) -> None:
    """Delete a caller's file for real; raises FileNotFound."""
    file = await find_file(file_id, principal, storage, at)
    if not await expire_and_delete(file, storage, at):
        raise file_not_found()


async def expire_and_delete(file: StoredFile, storage: FileStorage, at: datetime) -> bool:
    """Let a file expire, then delete it; False when somebody else did so before, or it had expired by itself.

    From its expiry on nobody finds it, and when its bytes cannot be deleted now, whoever looks for expired files will.
    """
    ended = await storage.files.expire(file.project, file.id, at)
    await purge(file, storage)
    return ended


async def purge_expired(principal: Principal, storage: FileStorage, at: datetime) -> None:
    """Delete, for real, files that are expired."""
    for file in await storage.files.expired(principal.project, at):
        await purge(file, storage)


async def purge(file: StoredFile, storage: FileStorage) -> None:
    """Delete a file's bytes, then what is known of it."""
    await storage.blobs.delete(blob_names(file.id))
    await storage.files.remove(file.project, file.id)


def file_not_found() -> FileNotFound:
    """Make the one answer for every file that a caller cannot have, so that it tells nothing of others' files."""
    return FileNotFound("There is no file with this id in your project: it expired, was deleted, or never was.")


def _validated(content: bytes | bytearray, limits: ImageLimits) -> tuple[bytes, str]:
    """Decode the whole image, at the smallest scale; give its bytes and media type."""
    original = bytes(content)
    try:
        prepared = prepare(original, Detail.LOW, limits)
    except ImageError as refusal:
        raise image_error(refusal, "file") from None
    return original, f"image/{prepared.source_format.lower()}"


def image_error(refusal: ImageError, param: str | None) -> ObscuraError:
    """Return the error that callers get for an ``ImageError`` of the imaging layer."""
    return IMAGE_ERRORS[refusal.code](refusal.message, param=param)
