"""Files: stored, found and deleted for real."""

from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from obscura.errors import FileNotFound, MissingCredentials, ObscuraError, RetentionConflict
from obscura.imaging import Detail, ImageLimits, ImageRefused, prepare
from obscura.pipeline.admit import Caller
from obscura.pipeline.gateway import Gateway
from obscura.pipeline.prepare import refusal_of_picture
from obscura.pipeline.storeroom import Storeroom, names_of, new_id, original_name
from obscura.ports import StoredFile
from obscura.wire.file_ids import is_file_id
from obscura.wire.file_requests import FileTerms


def check_known(caller: Caller) -> None:
    """Raise MissingCredentials for an anonymous caller: nothing can be theirs."""
    if caller.anonymous:
        raise MissingCredentials("Files belong to a project. Send a key: 'Authorization: Bearer obs_…'.")


def check_may_store(caller: Caller) -> None:
    """Raise MissingCredentials for an anonymous caller, RetentionConflict for one of whom nothing may be kept."""
    check_known(caller)
    if caller.zero_retention:
        raise RetentionConflict(
            "This is a zero-retention request: nothing of it is stored, and nothing stored is used. "
            "Send the picture itself, or use a key without zero retention."
        )


async def store_file(
    content: bytes | bytearray, terms: FileTerms, caller: Caller, gateway: Gateway, at: datetime
) -> StoredFile:
    """Check a picture as any request's would be, and keep it; raises what an image is refused with, param ``file``."""
    storeroom = gateway.storeroom
    await forget_expired(caller, storeroom, at)
    original, media_type = await gateway.workshop.run(partial(_checked, content, gateway.limits.image))
    created_at = at.replace(microsecond=0)
    file = StoredFile(
        id=new_id("file", at),
        project=caller.project,
        filename=terms.filename,
        purpose=terms.purpose,
        media_type=media_type,
        size_bytes=len(original),
        created_at=created_at,
        expires_at=created_at + timedelta(seconds=terms.lifetime_s),
    )
    try:
        await storeroom.contents.put(original_name(file.id), original)
        await storeroom.files.add(file)
    except BaseException:
        with suppress(ObscuraError):
            await storeroom.contents.delete([original_name(file.id)])
        raise
    return file


async def find_file(file_id: str, caller: Caller, storeroom: Storeroom, at: datetime) -> StoredFile:
    """Give a caller's file; raises FileNotFound for one that is another project's, expired, deleted, or never was."""
    file = await storeroom.files.find(caller.project, file_id) if is_file_id(file_id) and not caller.anonymous else None
    if file is None or file.expires_at <= at:
        raise file_not_found()
    return file


async def read_original(file: StoredFile, storeroom: Storeroom) -> bytes:
    """Give the bytes as they were sent; raises FileNotFound when they are being deleted."""
    original = await storeroom.contents.get(original_name(file.id))
    if original is None:
        raise file_not_found()
    return original


async def delete_file(file_id: str, caller: Caller, storeroom: Storeroom, at: datetime) -> None:
    """Delete a caller's file for real; raises FileNotFound."""
    file = await find_file(file_id, caller, storeroom, at)
    if not await end(file, storeroom, at):
        raise file_not_found()


async def end(file: StoredFile, storeroom: Storeroom, at: datetime) -> bool:
    """Let a file expire, then delete it; False when somebody else did so before, or it had expired by itself.

    From its expiry on nobody finds it, and when its bytes cannot be deleted now, whoever looks for expired files will.
    """
    ended = await storeroom.files.expire(file.project, file.id, at)
    await forget(file, storeroom)
    return ended


async def forget_expired(caller: Caller, storeroom: Storeroom, at: datetime) -> None:
    """Delete, for real, files that are expired."""
    for file in await storeroom.files.expired(caller.project, at):
        await forget(file, storeroom)


async def forget(file: StoredFile, storeroom: Storeroom) -> None:
    """Delete a file's bytes, then what is known of it."""
    await storeroom.contents.delete(names_of(file.id))
    await storeroom.files.remove(file.project, file.id)


def file_not_found() -> FileNotFound:
    """Make the one answer for every file that a caller cannot have, so that it tells nothing of others' files."""
    return FileNotFound("There is no file with this id in your project: it expired, was deleted, or never was.")


def _checked(content: bytes | bytearray, limits: ImageLimits) -> tuple[bytes, str]:
    """Decode the whole picture, at the smallest scale; give its bytes and media type."""
    original = bytes(content)
    try:
        prepared = prepare(original, Detail.LOW, limits)
    except ImageRefused as refusal:
        raise refusal_of_picture(refusal, "file") from None
    return original, f"image/{prepared.source_format.lower()}"
