"""Stored images: what is known of them, and their bytes."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from obscura.imaging import Detail


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a stored image; ids rise with time, both instants are whole seconds in UTC."""

    id: str
    project: str
    filename: str
    purpose: str
    media_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Which files of a project are asked for: at most ``limit``, those behind the id ``after``, in order of age."""

    limit: int
    after: str | None = None
    newest_first: bool = True
    purpose: str | None = None


class FileRepository(Protocol):
    """What is known of stored files. Every method raises UpstreamUnavailable when the store cannot be reached."""

    async def add(self, file: StoredFile) -> None:
        """Take up a file; its id is unique."""
        ...

    async def find(self, project: str, file_id: str) -> StoredFile | None:
        """Return a project's file, an expired one included, or None; what was added before is found."""
        ...

    async def page(self, project: str, page: FileQuery, at: datetime) -> Sequence[StoredFile]:
        """Return a project's files that live on at ``at``."""
        ...

    async def expire(self, project: str, file_id: str, at: datetime) -> bool:
        """End a file's life; False when it has none at ``at``. Of any number of callers at once, one gets True."""
        ...

    async def remove(self, project: str, file_id: str) -> None:
        """Forget a file, if there is one."""
        ...

    async def expired(self, project: str, at: datetime) -> Sequence[StoredFile]:
        """Return some of the project's files that are expired; where it costs nothing, those of all projects."""
        ...

    async def everywhere(self) -> Sequence[StoredFile]:
        """Every file of every project, expired ones included, oldest first: for the operator's command line."""
        ...


type UploadStatus = Literal["pending", "completed", "cancelled"]

MAX_PARTS = 64
"""Of one upload."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in parts: ``parts`` has each part's bytes by its id, ``file_id`` the file that came of it.

    ``ttl_s`` is how many seconds that file is to live; instants as in StoredFile.
    """

    id: str
    project: str
    filename: str
    purpose: str
    declared_bytes: int
    ttl_s: int
    created_at: datetime
    expires_at: datetime
    status: UploadStatus = "pending"
    file_id: str | None = None
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def max_bytes(self) -> int:
        """What its parts may have in all: twice the file, since a part whose answer was lost is sent again."""
        return 2 * self.declared_bytes


class UploadRepository(Protocol):
    """Uploads under way. Every method raises UpstreamUnavailable when the store cannot be reached."""

    async def add(self, upload: Upload) -> None:
        """Take up an upload without parts; its id is unique."""
        ...

    async def find(self, project: str, upload_id: str) -> Upload | None:
        """Return a project's upload, an expired one included, or None; what was added before is found."""
        ...

    async def add_part(self, upload: Upload, part_id: str, size_bytes: int, at: datetime) -> bool:
        """Add a part; False when the upload is not pending at ``at``, or would have too many parts or bytes.

        The bounds, ``MAX_PARTS`` and ``max_bytes``, hold under any concurrency.
        """
        ...

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """End a pending upload; False when it is not pending at ``at``. Of any number of callers, one gets True."""
        ...

    async def remove(self, project: str, upload_id: str) -> None:
        """Forget an upload, if there is one."""
        ...

    async def expired(self, project: str, at: datetime) -> Sequence[Upload]:
        """Return some of the project's uploads that are expired; where it costs nothing, those of all projects."""
        ...


class BlobStore(Protocol):
    """Bytes under names such as ``originals/file_01``. Raises UpstreamUnavailable when they cannot be had or kept."""

    async def put(self, name: str, content: bytes) -> None:
        """Keep bytes, in place of what was there; nobody ever sees half of them."""
        ...

    async def get(self, name: str) -> bytes | None:
        """Return the bytes, or None when there are none."""
        ...

    async def delete(self, names: Sequence[str]) -> None:
        """Delete what there is under these names, for real."""
        ...


_RANDOM_BYTES = 12


@dataclass(frozen=True, slots=True)
class FileStorage:
    """What is known of files, uploads under way, and the bytes of both."""

    files: FileRepository
    uploads: UploadRepository
    blobs: BlobStore


def new_id(kind: str, at: datetime) -> str:
    """Make an id of a ``file``, an ``upload`` or a ``part``: 48 bits of milliseconds, so that ids rise, 96 random."""
    return f"{kind}_{int(at.timestamp() * 1000):012x}{secrets.token_hex(_RANDOM_BYTES)}"


def original_blob(file_id: str) -> str:
    """Name the bytes that the caller sent."""
    return f"originals/{file_id}"


def prepared_blob(file_id: str, detail: str) -> str:
    """Name the prepared form for one detail."""
    return f"prepared/{file_id}/{detail}"


def blob_names(file_id: str) -> list[str]:
    """Name all that may be kept of a file."""
    return [original_blob(file_id), *(prepared_blob(file_id, detail) for detail in Detail)]


def part_blob(upload_id: str, part_id: str) -> str:
    """Name the bytes of a part."""
    return f"parts/{upload_id}/{part_id}"
