"""Runs ``obscura`` under an audit: ``python -m tests.support.audited_process RECORD NEEDLES serve …``.

RECORD gets a line of JSON for every file that Python code opens for writing, maps into memory, renames or links, and
for every program that it starts. On SIGUSR1 it gets a line for every live object that contains one of NEEDLES, a file
of hexadecimal digits, one needle a line; it is read only then, so that no needle is alive before.
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from PIL import Image

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
RECORDED = frozenset({"os.rename", "os.link", "os.symlink", "sqlite3.connect", "subprocess.Popen", "os.posix_spawn"})

MIN_BYTES = 512
"""Pieces of images are larger; nearly all other live objects are smaller."""
IN_MEMORY = "/memfd:"
"""Images are encoded in memory that only looks like a file (memfd_create(2))."""


class Record:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, event: str, *arguments: object) -> None:
        line = json.dumps([event, *map(str, arguments)])
        os.write(self._file, line.encode() + b"\n")

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        mapped = event == "mmap.__new__" and arguments[0] != -1
        if opened or mapped or event in RECORDED:
            path = _path_of(arguments[0]) if isinstance(arguments[0], int) else arguments[0]
            if not str(path).startswith(IN_MEMORY):
                self.note(event, path)


def _path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def holders(needles: list[bytes]) -> Iterator[str]:
    """Yield each live object that contains a needle: as text, as decoded pixels, or in any buffer of bytes."""
    gc.collect()
    seen = {id(needles)}
    left = [*gc.get_objects(), *sys._current_frames().values()]
    tracked = {id(tracked_object) for tracked_object in left}
    while left:
        holder = left.pop()
        if isinstance(holder, Image.Image):
            yield "a decoded image"
        for held in gc.get_referents(holder) if holder is not needles else ():
            if id(held) in seen:
                continue
            seen.add(id(held))
            if id(held) not in tracked:
                left.append(held)
            content = _content(held)
            if len(content) >= MIN_BYTES and any(needle in content for needle in needles):
                yield f"{type(held).__name__} of {len(content)} in {type(holder).__name__}"


def _content(held: Any) -> bytes:
    if isinstance(held, str):
        return held.encode(errors="replace")
    try:
        return bytes(memoryview(held))
    except (TypeError, ValueError, BufferError):
        return b""


def main() -> None:
    record, needles_path = Record(sys.argv[1]), sys.argv[2]
    del sys.argv[1:3]

    def search(number: int, frame: FrameType | None) -> None:
        needles = [bytes.fromhex(line) for line in Path(needles_path).read_text().split()]
        for holder in holders(needles):
            record.note("held", holder)
        record.note("looked")

    signal.signal(signal.SIGUSR1, search)
    sys.addaudithook(record.audit)
    from obscura.cli import main as obscura  # noqa: PLC0415 - after the audit hook is installed

    obscura()


if __name__ == "__main__":
    main()
