"""A small disk of its own: a tmpfs in a user and mount namespace, which ends with the process and needs no rights."""

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

_UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]
_MOUNT = 'mount -t tmpfs -o "size=$1,nr_inodes=$2" tmpfs "$3" && shift 3 && exec "$@"'


@cache
def can_mount() -> bool:
    """Whether this machine lets a process mount a file system of its own (Linux, with user namespaces)."""
    if shutil.which("unshare") is None:
        return False
    command = [*_UNSHARE, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def on_small_disk(folder: Path, mebibytes: int, command: list[str], inodes: int = 100_000, **more: Any) -> str:
    """Run Python with the arguments ``command`` while an empty disk is mounted on ``folder``; return its output.

    The status of the command is the last line of it.
    """
    words = [*_UNSHARE, "sh", "-c", _MOUNT, "sh", f"{mebibytes}m", str(inodes), str(folder), sys.executable, *command]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, **more)
    return f"{ended.stdout}{ended.stderr}\n{ended.returncode}"


def scenario(folder: Path, mebibytes: int, name: str, inodes: int = 100_000) -> dict[str, Any]:
    """Run a scenario of ``tests.support.full_disk`` and return what it saw."""
    output = on_small_disk(folder, mebibytes, ["-m", "tests.support.full_disk", name, str(folder)], inodes)
    lines = [line for line in output.splitlines() if line.startswith("{")]
    assert lines, output
    seen: dict[str, Any] = json.loads(lines[-1])
    return seen
