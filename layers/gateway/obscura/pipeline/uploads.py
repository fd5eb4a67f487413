"""Uploads: a file that comes in parts, each small enough for any door."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from obscura.errors import FileNotFound, InvalidRequest, ObscuraError
from obscura.pipeline.admit import Caller
from obscura.pipeline.concurrently import first_failure_of
from obscura.pipeline.files import end, store_file
from obscura.pipeline.gateway import Gateway
from obscura.pipeline.storeroom import Storeroom, new_id, part_name
from obscura.ports import MOST_PARTS, StoredFile, Upload
from obscura.wire.file_ids import is_upload_id
from obscura.wire.file_requests import CompletionAsk, FileTerms, UploadAsk

PENDING_S = 3600


async def begin_upload(ask: UploadAsk, caller: Caller, storeroom: Storeroom, at: datetime) -> Upload:
    """Begin an upload, which stays open for an hour."""
    for expired in await storeroom.uploads.expired(caller.project, at):
        await _forget_upload(expired, storeroom)
    created_at = at.replace(microsecond=0)
    upload = Upload(
        id=new_id("upload", at),
        project=caller.project,
        filename=ask.terms.filename,
        purpose=ask.terms.purpose,
        declared_bytes=ask.declared_bytes,
        lifetime_s=ask.terms.lifetime_s,
        created_at=created_at,
        expires_at=created_at + timedelta(seconds=PENDING_S),
    )
    await storeroom.uploads.add(upload)
    return upload


async def find_pending(upload_id: str, caller: Caller, storeroom: Storeroom, at: datetime) -> Upload:
    """Give a caller's open upload; raises FileNotFound, or InvalidRequest for one that is ended."""
    upload = await storeroom.uploads.find(caller.project, upload_id) if is_upload_id(upload_id) else None
    if upload is None or (upload.status == "pending" and upload.expires_at <= at):
        raise FileNotFound("There is no upload with this id in your project: it expired after an hour, or never was.")
    if upload.status != "pending":
        became = f"; its file is {upload.file_id}" if upload.file_id else ""
        raise InvalidRequest(f"This upload is {upload.status}{became}. Begin a new one.", param="upload_id")
    return upload


async def add_part(upload: Upload, content: bytes, storeroom: Storeroom, at: datetime) -> str:
    """Keep one part and give its id; raises InvalidRequest past the bounds of an upload."""
    part_id = new_id("part", at)
    name = part_name(upload.id, part_id)
    try:
        await storeroom.contents.put(name, content)
        added = await storeroom.uploads.add_part(upload, part_id, len(content), at)
    except BaseException:
        with suppress(ObscuraError):
            await storeroom.contents.delete([name])
        raise
    if not added:
        await storeroom.contents.delete([name])
        raise InvalidRequest(
            f"The upload takes no such part: it may have {MOST_PARTS} parts, {upload.most_bytes:,} bytes in all "
            "(twice what was declared), and none once it is ended.",
            param="data",
        )
    return part_id


async def complete_upload(
    upload: Upload, ask: CompletionAsk, caller: Caller, gateway: Gateway, at: datetime
) -> tuple[Upload, StoredFile]:
    """Put the parts together into a file; raises InvalidRequest when they are not what was declared.

    The upload stays open when it fails. Of callers who complete it at once, one gets a file.
    """
    storeroom = gateway.storeroom
    _check_parts(upload, ask)
    content = await _joined(upload, ask, gateway)
    terms = FileTerms(upload.filename, upload.purpose, upload.lifetime_s)
    file = await store_file(content, terms, caller, gateway, at)
    if not await storeroom.uploads.finish(upload, "completed", file.id, at):
        await end(file, storeroom, at)
        raise InvalidRequest("This upload was ended by another request meanwhile.", param="upload_id")
    await _forget_parts(upload, storeroom)
    return replace(upload, status="completed", file_id=file.id), file


async def cancel_upload(upload: Upload, storeroom: Storeroom, at: datetime) -> Upload:
    """End an upload and delete its parts; raises InvalidRequest when it was ended meanwhile."""
    if not await storeroom.uploads.finish(upload, "cancelled", None, at):
        raise InvalidRequest("This upload was ended by another request meanwhile.", param="upload_id")
    await _forget_parts(upload, storeroom)
    return replace(upload, status="cancelled")


def _check_parts(upload: Upload, ask: CompletionAsk) -> None:
    for index, part_id in enumerate(ask.part_ids):
        if part_id not in upload.parts:
            raise InvalidRequest("There is no part with this id in the upload.", param=f"part_ids[{index}]")
    if len(set(ask.part_ids)) < len(ask.part_ids):
        raise InvalidRequest("A part is named twice. Name each once, in order.", param="part_ids")
    received_bytes = sum(upload.parts[part_id] for part_id in ask.part_ids)
    if received_bytes != upload.declared_bytes:
        raise InvalidRequest(
            f"The parts have {received_bytes:,} bytes; {upload.declared_bytes:,} were declared. "
            "Add what is missing, or begin anew.",
            param="part_ids",
        )


async def _joined(upload: Upload, ask: CompletionAsk, gateway: Gateway) -> bytes:
    names = [part_name(upload.id, part_id) for part_id in ask.part_ids]
    parts = await first_failure_of([gateway.storeroom.contents.get(name) for name in names])
    whole = b"".join(part for part in parts if part is not None)
    if len(whole) != upload.declared_bytes:
        raise InvalidRequest("This upload was ended by another request meanwhile.", param="upload_id")
    if ask.md5 is not None:
        digest = await gateway.workshop.run(lambda: hashlib.md5(whole, usedforsecurity=False).hexdigest())
        if digest != ask.md5.strip().lower():
            raise InvalidRequest(f"The bytes that arrived have the MD5 {digest}. Send them again.", param="md5")
    return whole


async def _forget_parts(upload: Upload, storeroom: Storeroom) -> None:
    await storeroom.contents.delete([part_name(upload.id, part_id) for part_id in upload.parts])


async def _forget_upload(upload: Upload, storeroom: Storeroom) -> None:
    await _forget_parts(upload, storeroom)
    await storeroom.uploads.remove(upload.project, upload.id)
