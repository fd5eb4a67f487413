"""Blobs on disk: one file each."""

import asyncio
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from obscura.errors import StoreUnavailable

FOLDER = "files"
_NAME = re.compile(r"[a-z]+(/[a-z0-9_]+)+")


class DiskBlobStore:
    """Files below ``data_dir`` that only their owner can read; the folder is created with the first one."""

    def __init__(self, data_dir: Path) -> None:
        """Nothing is created yet."""
        self._folder = data_dir / FOLDER

    async def put(self, name: str, content: bytes) -> None:
        """Write the bytes to a temporary file in the same folder, then rename it in one step."""
        await asyncio.to_thread(_write, self._path(name), content)

    async def get(self, name: str) -> bytes | None:
        """Read the bytes."""
        return await asyncio.to_thread(_read, self._path(name))

    async def delete(self, names: Sequence[str]) -> None:
        """Delete the files, and the folders that are then empty."""
        await asyncio.to_thread(_delete, [self._path(name) for name in names], self._folder)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("not the name of a blob")
        return self._folder / name


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    try:
        _create_folder(path.parent)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise _unavailable() from None


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


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("Obscura's data folder cannot be used. Try again in a moment.", retry_after_s=1)
