"""The Protocols of file storage: metadata of files and uploads, blobs, and how ids and blobs are named."""

import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from obscura.imaging import Detail


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The metadata of a stored image; ids rise with time, both instants are whole seconds in UTC."""

    id: str
    project: str
    filename: str
    purpose: str
    media_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FileAttributes:
    """The filename and the purpose of a file that is to be stored, and its life in seconds."""

    filename: str
    purpose: str
    ttl_s: int


@dataclass(frozen=True, slots=True)
class StorageLimits:
    """How many bytes and files a project may have stored."""

    max_bytes: int
    max_files: int

    def plus(self, size_bytes: int, files: int) -> "StorageLimits":
        """Return the limits with space for so much more."""
        return StorageLimits(self.max_bytes + size_bytes, self.max_files + files)

    def allow(self, usage: "StorageUsage", size_bytes: int) -> bool:
        """Whether there is space for one file of ``size_bytes`` beside ``usage``."""
        return usage.stored_bytes + size_bytes <= self.max_bytes and usage.files < self.max_files


@dataclass(frozen=True, slots=True)
class StorageUsage:
    """What counts against a project's limits: its files, and its pending uploads at ``Upload.max_bytes`` each."""

    stored_bytes: int = 0
    files: int = 0


UNLIMITED = StorageLimits(2**62, 2**62)


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Which files of a project to list: at most ``limit``, after the one with the id ``after``, in order of age."""

    limit: int
    after: str | None = None
    newest_first: bool = True
    purpose: str | None = None


class FileRepository(Protocol):
    """The metadata of stored files. Every method raises StoreUnavailable."""

    async def add(self, file: StoredFile, limits: StorageLimits = UNLIMITED) -> bool:
        """Add a file, whose id is unique; False if its project would have more than ``limits``.

        The limits hold under any concurrency. A file counts until its metadata is deleted.
        """
        ...

    async def has_space(self, project: str, size_bytes: int, limits: StorageLimits, at: datetime) -> bool:
        """Whether a project may add a file of this size now; ``add`` alone decides."""
        ...

    async def find(self, project: str, file_id: str) -> StoredFile | None:
        """Return a project's file, an expired one included, or None; reads see every earlier write."""
        ...

    async def expire(self, project: str, file_id: str, at: datetime) -> bool:
        """Expire a file; False if it is not live at ``at``. Of concurrent calls one returns True."""
        ...

    async def delete(self, project: str, file_id: str) -> None:
        """Delete a file's metadata, if there is any."""
        ...

    async def expired(self, project: str, at: datetime) -> Sequence[StoredFile]:
        """Return some of the project's expired files; those of all projects if that costs nothing."""
        ...

    # Defined last: in the class body ``list`` is this method from here on.
    async def list(self, project: str, query: FileQuery, at: datetime) -> Sequence[StoredFile]:
        """Return a project's files that are live at ``at``."""
        ...

    async def list_all(self) -> Sequence[StoredFile]:
        """Return every file of every project, expired ones included, oldest first: for the operator's commands."""
        ...


type UploadStatus = Literal["pending", "completed", "cancelled"]

MAX_PARTS = 64
"""Of one upload."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is sent in parts: ``parts`` has the size of each in bytes by its id.

    ``file_id`` is the file of a completed upload, ``ttl_s`` that file's lifetime. Instants are as in StoredFile.
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
        """The limit of all its parts: twice the file, since a part whose response was lost is sent again."""
        return 2 * self.declared_bytes


class UploadRepository(Protocol):
    """The metadata of uploads. Every method raises StoreUnavailable."""

    async def add(self, upload: Upload, limits: StorageLimits = UNLIMITED) -> bool:
        """Add an upload without parts, whose id is unique; False if its project would have more than ``limits``.

        Until it is finished or deleted it counts as one file of ``max_bytes``, under any concurrency.
        """
        ...

    async def find(self, project: str, upload_id: str) -> Upload | None:
        """Return a project's upload, an expired one included, or None; reads see every earlier write."""
        ...

    async def add_part(self, upload: Upload, part_id: str, size_bytes: int, at: datetime) -> bool:
        """Add a part; False if the upload is not pending at ``at``, or would have too many parts or bytes.

        The limits, ``MAX_PARTS`` and ``max_bytes``, hold under any concurrency.
        """
        ...

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """Finish a pending upload; False if it is not pending at ``at``. Of concurrent calls one returns True."""
        ...

    async def delete(self, project: str, upload_id: str) -> None:
        """Delete the metadata of an upload and of its parts, if there is any."""
        ...

    async def expired(self, project: str, at: datetime) -> Sequence[Upload]:
        """Return some of the project's expired uploads; those of all projects if that costs nothing."""
        ...


class BlobStore(Protocol):
    """Bytes under names such as ``originals/file_01``. Every method raises StoreUnavailable."""

    async def put(self, name: str, content: bytes) -> None:
        """Store bytes, in place of earlier ones; no reader ever gets a part of them."""
        ...

    async def get(self, name: str) -> bytes | None:
        """Return the bytes, or None if there are none."""
        ...

    async def delete(self, names: Sequence[str]) -> None:
        """Delete the bytes under these names, if there are any; irrevocably."""
        ...


@dataclass(frozen=True, slots=True)
class LeftoverBlob:
    """A blob that may have no record, and when it was written, in seconds since 1970."""

    name: str
    written_at_s: float

    @property
    def owner_id(self) -> str:
        """The id of the file or the upload that it is of."""
        return self.name.split("/")[1]


class SweptRecords(Protocol):
    """What has expired, of all projects; DynamoDB's TTL deletes it there. Every method raises StoreUnavailable."""

    async def expired_files(self, at: datetime, skip: int) -> Sequence[StoredFile]:
        """Return some files that have expired by ``at``, in a fixed order, without the first ``skip``."""
        ...

    async def expired_uploads(self, at: datetime, skip: int) -> Sequence[Upload]:
        """Return some uploads, likewise."""
        ...

    async def without_record(self, ids: Collection[str]) -> set[str]:
        """Return those of these ids of files and uploads that have no record."""
        ...

    async def delete_expired_entries(self, at: datetime) -> int:
        """Delete some expired verdicts and counters, and return how many; 0 if none is left."""
        ...


class SweptBlobs(Protocol):
    """Blobs that can be listed; a bucket's lifecycle rules delete the others."""

    def leftovers(self, before: datetime) -> AsyncIterator[Sequence[LeftoverBlob]]:
        """Yield the blobs last written before an instant, some at a time."""
        ...


_RANDOM_BYTES = 12


@dataclass(frozen=True, slots=True)
class FileStorage:
    """The stores of files: metadata of files and of uploads, the bytes of both, and what a sweep goes through."""

    files: FileRepository
    uploads: UploadRepository
    blobs: BlobStore
    swept_records: SweptRecords | None = None
    swept_blobs: SweptBlobs | None = None


def new_id(kind: str, at: datetime) -> str:
    """Return a new id of a ``file``, ``upload`` or ``part``: 48 bits of milliseconds, then 96 random ones (ADR 31)."""
    return f"{kind}_{int(at.timestamp() * 1000):012x}{secrets.token_hex(_RANDOM_BYTES)}"


def original_blob(file_id: str) -> str:
    """Return the name of the bytes that the caller sent."""
    return f"originals/{file_id}"


def prepared_blob(file_id: str, detail: str) -> str:
    """Return the name of the prepared form for one detail."""
    return f"prepared/{file_id}/{detail}"


def blob_names(file_id: str) -> list[str]:
    """Return the names of all bytes that may be stored of a file."""
    return [original_blob(file_id), *(prepared_blob(file_id, detail) for detail in Detail)]


def part_blob(upload_id: str, part_id: str) -> str:
    """Return the name of a part's bytes."""
    return f"parts/{upload_id}/{part_id}"
