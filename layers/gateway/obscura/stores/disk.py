"""Bytes under names, a file each."""

import asyncio
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from obscura.errors import UpstreamUnavailable

FOLDER = "files"
_NAME = re.compile(r"[a-z]+(/[a-z0-9_]+)+")


class DiskBlobStore:
    """Files below ``data_dir``, for their owner's eyes only; the folder is made when the first one is kept."""

    def __init__(self, data_dir: Path) -> None:
        """Nothing is touched yet."""
        self._folder = data_dir / FOLDER

    async def put(self, name: str, content: bytes) -> None:
        """Write the bytes beside their place, then move them there in one step."""
        await asyncio.to_thread(_write, self._path(name), content)

    async def get(self, name: str) -> bytes | None:
        """Read the bytes."""
        return await asyncio.to_thread(_read, self._path(name))

    async def delete(self, names: Sequence[str]) -> None:
        """Delete the files, and folders that are empty then."""
        await asyncio.to_thread(_delete, [self._path(name) for name in names], self._folder)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("not a name that the pipeline makes")
        return self._folder / name


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{secrets.token_hex(8)}")
    try:
        _make_folder(path.parent)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise _unavailable() from None


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
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


def _unavailable() -> UpstreamUnavailable:
    return UpstreamUnavailable("Obscura's data folder cannot be used. Try again in a moment.", retry_after_s=1)
