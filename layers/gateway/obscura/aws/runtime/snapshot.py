"""SnapStart: the hooks around a snapshot, and what must not be the same in every environment restored from it."""

import os
import random
import sys
from collections.abc import Callable

type Hook = tuple[Callable[..., object], tuple[object, ...], dict[str, object]]


def is_to_be_snapshotted() -> bool:
    """Whether this process starts in order to be snapshotted (Lambda's "Defined runtime environment variables")."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def run_before_snapshot() -> None:
    """Run what was registered to run before the snapshot, the latest first ("Runtime hooks for SnapStart")."""
    for function, positional, named in reversed(_registered("get_before_snapshot")):
        function(*positional, **named)


def run_after_restore() -> None:
    """Run what was registered to run after the restore, the earliest first, on fresh randomness."""
    random.seed()
    for function, positional, named in _registered("get_after_restore"):
        function(*positional, **named)


def _registered(kind: str) -> list[Hook]:
    """Ask the registry that comes with AWS's runtime; where nobody imported it, nobody registered anything."""
    registry = sys.modules.get("snapshot_restore_py")
    return [] if registry is None else list(getattr(registry, kind)())
