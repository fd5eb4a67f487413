"""Blobs on disk: one file each, and never the last of the disk's space."""

import asyncio
import errno
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from threading import Lock

from obscura.errors import StorageFull, StoreUnavailable
from obscura.files.base import LeftoverBlob

FOLDER = "files"
RESERVE_BYTES = 100 * 1024 * 1024
RESERVE_INODES = 1024
"""Files that the disk must have space for after a blob, if its file system counts them (statvfs(3), ``f_favail``)."""

SCANNED_AT_ONCE = 200
_NAME = re.compile(r"[a-z]+(/[a-z0-9_]+)+")
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskBlobStore:
    """Files below ``data_dir`` that only their owner can read; the folder is created with the first one.

    A blob that would leave less than ``reserve_bytes`` free is refused with StorageFull: the rest of the disk is for
    keys and counters, without which no request is admitted.
    """

    def __init__(self, data_dir: Path, reserve_bytes: int = 0) -> None:
        """Nothing is created yet."""
        self._folder = data_dir / FOLDER
        self._reserve = _Reserve(self._folder, reserve_bytes)

    async def put(self, name: str, content: bytes) -> None:
        """Write the bytes to a temporary file in the same folder, then rename it in one step."""
        await asyncio.to_thread(self._put, self._path(name), content)

    async def get(self, name: str) -> bytes | None:
        """Read the bytes."""
        return await asyncio.to_thread(_read, self._path(name))

    async def delete(self, names: Sequence[str]) -> None:
        """Delete the files, and the folders that are then empty."""
        await asyncio.to_thread(_delete, [self._path(name) for name in names], self._folder)

    async def leftovers(self, before: datetime) -> AsyncIterator[Sequence[LeftoverBlob]]:
        """Yield the blobs last written before an instant, some at a time; older temporary files are deleted."""
        found = _scan(self._folder, before.timestamp())
        while batch := await asyncio.to_thread(lambda: list(islice(found, SCANNED_AT_ONCE))):
            yield [blob for blob in batch if blob is not None]

    def _put(self, path: Path, content: bytes) -> None:
        with self._reserve.space_for(len(content)):
            try:
                if not _write(path, content) and not _write(path, content):
                    raise _unavailable()
            except OSError as error:
                raise (_full() if is_full(error) else _unavailable()) from None

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("not the name of a blob")
        return self._folder / name


class _Reserve:
    """The space that blobs leave free; what other threads are writing counts as written."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._writing_bytes = 0
        self._lock = Lock()

    @contextmanager
    def space_for(self, size_bytes: int) -> Iterator[None]:
        """Hold space for a blob; raises StorageFull."""
        with self._lock:
            self._require(size_bytes)
            self._writing_bytes += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._writing_bytes -= size_bytes

    def _require(self, size_bytes: int) -> None:
        if not self._reserve_bytes:
            return
        try:
            disk = os.statvfs(self._folder if self._folder.exists() else self._folder.parent)
        except OSError:
            raise _unavailable() from None
        free_bytes = disk.f_bavail * disk.f_frsize - self._writing_bytes
        few_inodes = disk.f_files > 0 and disk.f_favail < RESERVE_INODES
        if free_bytes - size_bytes < self._reserve_bytes or few_inodes:
            raise _full()


def is_full(error: Exception) -> bool:
    """Whether a write failed since the disk, or a quota on it, is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def disk_is_full(data_dir: Path) -> str:
    """Return what is wrong with a disk on which the databases cannot be opened, and what to do."""
    return (
        f"The disk of the data folder {data_dir} has no space for its databases and their reserve of 8 MiB. Free some "
        "space on it, or name another folder in OBSCURA_DATA_DIR."
    )


def unusable_folder(data_dir: Path) -> str | None:
    """Return what is wrong with a data folder that cannot be written to, and what to do; None if it can be."""
    probe = data_dir / f".{secrets.token_hex(8)}"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(probe, bytes(64 * 1024))
    except OSError as error:
        if is_full(error):
            return disk_is_full(data_dir)
        return (
            f"The data folder {data_dir} cannot be written to: {error.strerror}. Make it writable for this user, or "
            "name another folder in OBSCURA_DATA_DIR."
        )
    finally:
        with suppress(OSError):
            probe.unlink()
    return None


def _write(path: Path, content: bytes) -> bool:
    """Write a file whole or not at all; False if a sweep deleted its folder, which was empty, meanwhile."""
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    try:
        _create_folder(path.parent)
        _create(temporary, content)
        temporary.replace(path)
    except FileNotFoundError:
        return False
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    return True


def _create(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _create_folder(folder: Path) -> None:
    if not folder.is_dir():
        _create_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        raise _unavailable() from None


def _delete(paths: Sequence[Path], top: Path) -> None:
    try:
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError:
        raise _unavailable() from None
    for folder in {path.parent for path in paths}:
        if folder.parent != top:
            with suppress(OSError):
                folder.rmdir()


def _scan(top: Path, before_s: float) -> Iterator[LeftoverBlob | None]:
    """Yield the blobs last written before an instant, and None for each other file.

    Symbolic links are neither followed nor touched, and names that are not Obscura's are left alone. Folders of one
    file that are empty are deleted.
    """
    folders = [top]
    while folders:
        folder = folders.pop()
        entries = 0
        with suppress(OSError), os.scandir(folder) as listed:
            for entry in listed:
                entries += 1
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield _examine(Path(entry.path), before_s, top)
        if not entries and top not in {folder, folder.parent}:
            with suppress(OSError):
                if folder.stat().st_mtime < before_s:
                    folder.rmdir()


def _examine(path: Path, before_s: float, top: Path) -> LeftoverBlob | None:
    try:
        written_at_s = path.lstat().st_mtime
    except OSError:
        return None
    if written_at_s >= before_s:
        return None
    if _TEMPORARY.fullmatch(path.name):
        with suppress(OSError):
            path.unlink()
        return None
    name = path.relative_to(top).as_posix()
    return LeftoverBlob(name, written_at_s) if _NAME.fullmatch(name) else None


def _full() -> StorageFull:
    return StorageFull("The disk of Obscura's data folder has no space for it. Delete files, or ask the operator.")


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("Obscura's data folder cannot be used. Try again in a moment.", retry_after_s=1)
