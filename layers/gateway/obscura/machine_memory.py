"""How much memory this process may use: Lambda's setting, the limits of its control groups, the machine's memory."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

MIB = 1024 * 1024
UNKNOWN_BYTES = 2048 * MIB
"""Assumed on a system that does not say how much memory it has."""
_LAMBDA_MEMORY = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
_FILES = {"v1": "memory.limit_in_bytes", "v2": "memory.max"}


def usable_memory_bytes(environment: Mapping[str, str], root: Path = Path("/")) -> int:
    """Return the least of what Lambda, the control groups and the machine allow this process, in bytes.

    Args:
        environment: of the process; Lambda writes its memory there, in MiB.
        root: below which ``proc`` and ``sys`` are.

    """
    on_lambda = environment.get(_LAMBDA_MEMORY, "")
    limits = [int(on_lambda) * MIB] if on_lambda.isdecimal() else []
    return min([*limits, *_group_limits(root), _machine_bytes()])


def _group_limits(root: Path) -> Iterator[int]:
    """Yield the limits of the process's control groups and of all groups that they are in.

    cgroups(7), "/proc/pid/cgroup": ``0::/path`` names the group of version 2, ``N:memory:/path`` that of version 1. In
    a container the path may be one of the host's: then only the group at the root of the mount can be read.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            version, mount = "v1", root / "sys/fs/cgroup/memory"
        elif number == "0" and not controllers:
            version, mount = "v2", root / "sys/fs/cgroup"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        for folder in (group, *group.parents):
            try:
                limit = (mount / folder / _FILES[version]).read_text().strip()
            except OSError:
                continue
            if limit.isdecimal():  # version 2 writes "max" for no limit, version 1 a number near 2^63
                yield int(limit)


def _machine_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN_BYTES
