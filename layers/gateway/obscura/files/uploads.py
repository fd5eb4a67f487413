"""Uploads: a file that is sent in parts, each small enough for API Gateway and Lambda."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from obscura.auth.access import Principal
from obscura.dialects.file_ids import is_upload_id
from obscura.errors import FileNotFound, InvalidRequest, ObscuraError, StoreUnavailable
from obscura.execution import gather_or_raise_first
from obscura.files.base import MAX_PARTS, FileAttributes, FileStorage, StoredFile, Upload, new_id, part_blob
from obscura.files.requests import CompleteUpload, CreateUpload
from obscura.files.service import FileService, expire_and_delete, project_full, require_space, store_file
from obscura.memory_budget import request_memory

PENDING_TTL_S = 3600


async def begin_upload(request: CreateUpload, principal: Principal, service: FileService, at: datetime) -> Upload:
    """Begin an upload, which stays pending for an hour; raises StorageFull if its project lacks space for it."""
    storage = service.storage
    for expired in await storage.uploads.expired(principal.project, at):
        with suppress(StoreUnavailable):
            await purge_upload(expired, storage)
    attributes, created_at = request.attributes, at.replace(microsecond=0)
    upload = Upload(
        id=new_id("upload", at),
        project=principal.project,
        filename=attributes.filename,
        purpose=attributes.purpose,
        declared_bytes=request.bytes,
        ttl_s=attributes.ttl_s,
        created_at=created_at,
        expires_at=created_at + timedelta(seconds=PENDING_TTL_S),
    )
    limits = service.limits_of(principal)
    await require_space(principal.project, upload.max_bytes, limits, storage, at)
    if not await storage.uploads.add(upload, limits):
        raise project_full(limits)
    return upload


async def find_pending(upload_id: str, principal: Principal, storage: FileStorage, at: datetime) -> Upload:
    """Return a caller's pending upload; raises FileNotFound, or InvalidRequest for one that is finished."""
    upload = await storage.uploads.find(principal.project, upload_id) if is_upload_id(upload_id) else None
    if upload is None or upload.expires_at <= at:
        raise FileNotFound(
            "There is no upload with this id in your project: it expired after an hour, or never existed."
        )
    if upload.status != "pending":
        result = f"; its file is {upload.file_id}" if upload.file_id else ""
        raise InvalidRequest(f"This upload is {upload.status}{result}. Begin a new one.", param="upload_id")
    return upload


async def add_part(upload: Upload, content: bytes, storage: FileStorage, at: datetime) -> str:
    """Store one part and return its id; raises InvalidRequest past the limits of an upload."""
    part_id = new_id("part", at)
    name = part_blob(upload.id, part_id)
    try:
        await storage.blobs.put(name, content)
        added = await storage.uploads.add_part(upload, part_id, len(content), at)
    except BaseException:
        with suppress(ObscuraError):
            await storage.blobs.delete([name])
        raise
    if not added:
        await storage.blobs.delete([name])
        raise InvalidRequest(
            f"This part cannot be added: an upload may have {MAX_PARTS} parts, {upload.max_bytes:,} bytes in all "
            "(twice what was declared), and none after it is finished.",
            param="data",
        )
    return part_id


async def complete_upload(
    upload: Upload, request: CompleteUpload, principal: Principal, service: FileService, at: datetime
) -> tuple[Upload, StoredFile]:
    """Store the parts as one file; raises InvalidRequest if they are not what was declared.

    The upload stays pending if it fails. Of concurrent requests that complete it, one gets a file.
    """
    storage = service.storage
    _require_declared_parts(upload, request)
    content = await _join_parts(upload, request, principal, service)
    attributes = FileAttributes(upload.filename, upload.purpose, upload.ttl_s)
    # The upload, which counts twice its size until it is finished, becomes the file: there is space for one.
    limits = service.limits_of(principal).plus(upload.max_bytes, 1)
    file = await store_file(content, attributes, principal, service, at, limits)
    if not await storage.uploads.finish(upload, "completed", file.id, at):
        await expire_and_delete(file, storage, at)
        raise _finished_meanwhile()
    await _delete_finished_parts(upload, storage)
    return replace(upload, status="completed", file_id=file.id), file


async def cancel_upload(upload: Upload, storage: FileStorage, at: datetime) -> Upload:
    """Cancel an upload and delete its parts; raises InvalidRequest if it was finished meanwhile."""
    if not await storage.uploads.finish(upload, "cancelled", None, at):
        raise _finished_meanwhile()
    await _delete_finished_parts(upload, storage)
    return replace(upload, status="cancelled")


def _finished_meanwhile() -> InvalidRequest:
    return InvalidRequest("This upload was finished by another request meanwhile.", param="upload_id")


def _require_declared_parts(upload: Upload, request: CompleteUpload) -> None:
    for index, part_id in enumerate(request.part_ids):
        if part_id not in upload.parts:
            raise InvalidRequest("There is no part with this id in the upload.", param=f"part_ids[{index}]")
    if len(set(request.part_ids)) < len(request.part_ids):
        raise InvalidRequest("A part is named twice. Name each once, in order.", param="part_ids")
    received_bytes = sum(upload.parts[part_id] for part_id in request.part_ids)
    if received_bytes != upload.declared_bytes:
        raise InvalidRequest(
            f"The parts have {received_bytes:,} bytes; {upload.declared_bytes:,} were declared. "
            "Add what is missing, or begin again.",
            param="part_ids",
        )


async def _join_parts(upload: Upload, request: CompleteUpload, principal: Principal, service: FileService) -> bytes:
    names = [part_blob(upload.id, part_id) for part_id in request.part_ids]
    await request_memory().add(upload.declared_bytes)
    parts = await gather_or_raise_first([service.storage.blobs.get(name) for name in names])
    content = b"".join(part for part in parts if part is not None)
    if len(content) != upload.declared_bytes:
        raise _finished_meanwhile()
    if request.md5 is not None:
        digest = await service.executor.run_light(
            lambda: hashlib.md5(content, usedforsecurity=False).hexdigest(), principal.caller
        )
        if digest != request.md5.strip().lower():
            raise InvalidRequest(f"The bytes that arrived have the MD5 {digest}. Send them again.", param="md5")
    return content


async def _delete_parts(upload: Upload, storage: FileStorage) -> None:
    await storage.blobs.delete([part_blob(upload.id, part_id) for part_id in upload.parts])


async def _delete_finished_parts(upload: Upload, storage: FileStorage) -> None:
    """Delete the parts of a finished upload; those that cannot be deleted now go when the upload expires."""
    with suppress(StoreUnavailable):
        await _delete_parts(upload, storage)


async def purge_upload(upload: Upload, storage: FileStorage) -> None:
    """Delete the bytes of an upload's parts, then its metadata."""
    await _delete_parts(upload, storage)
    await storage.uploads.delete(upload.project, upload.id)
