"""Files and uploads as OpenAI's API reference shows them ("The file object", "The upload object"); times in seconds."""

from collections.abc import Sequence

import msgspec

from obscura.files.base import StoredFile, Upload


class FileObject(msgspec.Struct):
    """A stored file; ``mime_type`` is Obscura's own, and what the bytes are."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    mime_type: str
    object: str = "file"
    status: str = "processed"


class FileList(msgspec.Struct):
    """One page of files."""

    data: Sequence[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: str = "list"


class DeletedFile(msgspec.Struct):
    """What is left of a file."""

    id: str
    object: str = "file"
    deleted: bool = True


class UploadObject(msgspec.Struct):
    """An upload; ``file`` is there once it is completed."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: str
    file: FileObject | None = None
    object: str = "upload"


class PartObject(msgspec.Struct):
    """A part of an upload."""

    id: str
    created_at: int
    upload_id: str
    object: str = "upload.part"


def file_list(files: Sequence[FileObject], has_more: bool) -> FileList:
    """Make a page of files."""
    return FileList(files, files[0].id if files else None, files[-1].id if files else None, has_more)


def file_object(file: StoredFile) -> FileObject:
    """Show a file."""
    return FileObject(
        id=file.id,
        bytes=file.size_bytes,
        created_at=int(file.created_at.timestamp()),
        expires_at=int(file.expires_at.timestamp()),
        filename=file.filename,
        purpose=file.purpose,
        mime_type=file.media_type,
    )


def upload_object(upload: Upload, file: StoredFile | None = None) -> UploadObject:
    """Show an upload, with the file that came of it."""
    return UploadObject(
        id=upload.id,
        bytes=upload.declared_bytes,
        created_at=int(upload.created_at.timestamp()),
        expires_at=int(upload.expires_at.timestamp()),
        filename=upload.filename,
        purpose=upload.purpose,
        status=upload.status,
        file=file_object(file) if file else None,
    )
