"""Files as Anthropic's SDKs see them (API reference, "Files API", beta): instants as in RFC 3339, sizes in bytes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from obscura.files.base import StoredFile
from obscura.files.requests import page_after


class _Object(BaseModel):
    model_config = ConfigDict(frozen=True)


class AnthropicFile(_Object):
    """A stored file."""

    id: str
    type: Literal["file"] = "file"
    filename: str
    mime_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime
    downloadable: Literal[True] = True

    @classmethod
    def of(cls, file: StoredFile) -> Self:
        """Return the object of a stored file."""
        return cls(
            id=file.id,
            filename=file.filename,
            mime_type=file.media_type,
            size_bytes=file.size_bytes,
            created_at=file.created_at,
            expires_at=file.expires_at,
        )


class AnthropicFileList(_Object):
    """A page of files; newer SDKs go on by ``next_page``, older ones by ``last_id``."""

    data: list[AnthropicFile]
    has_more: bool
    first_id: str | None
    last_id: str | None
    next_page: str | None

    @classmethod
    def of(cls, files: Sequence[StoredFile], *, has_more: bool) -> Self:
        """Return the page of ``files``; ``has_more`` says whether another page follows."""
        last_id = files[-1].id if files else None
        return cls(
            data=[AnthropicFile.of(file) for file in files],
            has_more=has_more,
            first_id=files[0].id if files else None,
            last_id=last_id,
            next_page=page_after(last_id) if last_id and has_more else None,
        )


class AnthropicDeletedFile(_Object):
    """The confirmation that a file was deleted."""

    id: str
    type: Literal["file_deleted"] = "file_deleted"
