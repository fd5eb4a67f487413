"""Built artefacts laid out as on Lambda: both layers under one ``/opt``, a function's code in its task root."""

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from rehearsal.stack import ROOT, SAM_PYTHON

BUILT = ROOT / ".aws-sam" / "host"
"""Where `make build-host` builds for this machine's own processor."""

_RUNTIME_PARTS = ("awslambdaric", "runtime_client*", "simplejson", "snapshot_restore_py*")
"""What Lambda's managed runtime brings along for Python, of all that is in SAM's environment."""


@dataclass(frozen=True)
class Layout:
    """``opt`` has what the layers put into ``/opt``; ``runtime`` the managed runtime's own client."""

    built: Path
    opt: Path
    runtime: Path
    emulator: Path

    @property
    def interpreter(self) -> Path:
        """The bare interpreter: no virtual environment may lend what a layer forgot."""
        return Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"

    def task_root(self, family: str) -> Path:
        """Give the folder of a function's code."""
        return self.built / f"{family.title()}Function"


def lay_out(built: Path = BUILT) -> Layout:
    """Merge the layers as Lambda unpacks them, one over the other; raises FileNotFoundError when nothing is built."""
    opt, runtime = built.parent / f"{built.name}-opt", built.parent / "runtime"
    for folder in (opt, runtime):
        shutil.rmtree(folder, ignore_errors=True)
    for layer in ("GatewayLayer", "ImagingLayer"):
        shutil.copytree(built / layer, opt, dirs_exist_ok=True)
    runtime.mkdir()
    [packages] = SAM_PYTHON.parents[1].glob("lib/python*/site-packages")
    for pattern in _RUNTIME_PARTS:
        for part in packages.glob(pattern):
            (runtime / part.name).symlink_to(part)
    machine = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    emulator = packages / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{machine}"
    return Layout(built, opt, runtime, emulator)
