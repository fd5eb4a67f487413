"""Files and uploads as callers see them: OpenAI's API reference, "The file object" and "The upload object".

Times are seconds since 1970. The order of the fields is their order on the wire.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from obscura.files.base import StoredFile, Upload, UploadStatus


class _Object(BaseModel):
    model_config = ConfigDict(frozen=True)


class FileObject(_Object):
    """A stored file."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    mime_type: str = Field(description="What the bytes are; a field of Obscura's own.")
    object: Literal["file"] = "file"
    status: Literal["processed"] = "processed"

    @classmethod
    def of(cls, file: StoredFile) -> Self:
        """Return the object of a stored file."""
        return cls(
            id=file.id,
            bytes=file.size_bytes,
            created_at=_seconds(file.created_at),
            expires_at=_seconds(file.expires_at),
            filename=file.filename,
            purpose=file.purpose,
            mime_type=file.media_type,
        )


class FileList(_Object):
    """A page of files; the ids of one without any are empty, since OpenAI's specification has no null there."""

    data: list[FileObject]
    first_id: str
    last_id: str
    has_more: bool
    object: Literal["list"] = "list"

    @classmethod
    def of(cls, files: Sequence[StoredFile], *, has_more: bool) -> Self:
        """Return the page of ``files``; ``has_more`` says whether another page follows."""
        return cls(
            data=[FileObject.of(file) for file in files],
            first_id=files[0].id if files else "",
            last_id=files[-1].id if files else "",
            has_more=has_more,
        )


class DeletedFile(_Object):
    """The confirmation that a file was deleted."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class UploadObject(_Object):
    """An upload; it has a ``file`` once it is completed."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: UploadStatus
    file: FileObject | None = None
    object: Literal["upload"] = "upload"

    @classmethod
    def of(cls, upload: Upload, file: StoredFile | None = None) -> Self:
        """Return the object of an upload, with the ``file`` that was made of it."""
        return cls(
            id=upload.id,
            bytes=upload.declared_bytes,
            created_at=_seconds(upload.created_at),
            expires_at=_seconds(upload.expires_at),
            filename=upload.filename,
            purpose=upload.purpose,
            status=upload.status,
            file=FileObject.of(file) if file else None,
        )


class PartObject(_Object):
    """A part of an upload."""

    id: str
    created_at: int
    upload_id: str
    object: Literal["upload.part"] = "upload.part"

    @classmethod
    def of(cls, part_id: str, upload: Upload, created_at: datetime) -> Self:
        """Return the object of a part that was added to ``upload``."""
        return cls(id=part_id, created_at=_seconds(created_at), upload_id=upload.id)


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())
