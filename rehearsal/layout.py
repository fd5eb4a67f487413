"""Built artefacts laid out as on Lambda: both layers in ``/opt``, a function's code in ``/var/task``, all read-only.

Each process gets a root of its own for this (``lambda_root.sh``). Where the machine allows no such thing (it takes
Linux with user namespaces) the same folders serve where they lie, and ``Layout.refused`` says why.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rehearsal.stack import ROOT, SAM_PYTHON

BUILT = ROOT / ".aws-sam" / "host"
"""Where `make build-host` builds for this machine's own processor."""

_RUNTIME_PARTS = ("awslambdaric", "runtime_client*", "simplejson", "snapshot_restore_py*")
"""What Lambda's managed runtime brings along for Python, of all that is in SAM's environment."""

_EMULATOR = "aws-lambda-rie"
_LAMBDA_ROOT = Path(__file__).with_name("lambda_root.sh")


@dataclass(frozen=True)
class Places:
    """Where a function's process finds what (Lambda developer guide, "Defined runtime environment variables")."""

    opt: Path
    task_root: Path
    runtime: Path
    language: Path

    @property
    def interpreter(self) -> Path:
        """The bare interpreter: no virtual environment may lend what a layer forgot."""
        return self.language / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def emulator(self) -> Path:
        """Lambda's runtime emulator, which is laid beside the runtime's client."""
        return self.runtime / _EMULATOR


ON_LAMBDA = Places(Path("/opt"), Path("/var/task"), Path("/var/runtime"), Path("/var/lang"))


@dataclass(frozen=True)
class Layout:
    """``opt`` has what the layers put into ``/opt``, ``runtime`` the managed runtime's client and the emulator.

    ``refused`` is empty, or what this machine said when it was asked for a root like Lambda's.
    """

    built: Path
    opt: Path
    runtime: Path
    refused: str = ""

    def __str__(self) -> str:
        """Say in a line how it is laid out."""
        if self.refused:
            return f"not at /opt and writable, for this machine refused a root like Lambda's ({self.refused})"
        return "the layers are at /opt, the code in /var/task, both read-only"

    def places(self, family: str) -> Places:
        """Return the folders as a function's process sees them."""
        return self._here(family) if self.refused else ON_LAMBDA

    def start(
        self, family: str, command: Sequence[str | Path], settings: Mapping[str, str], **streams: Any
    ) -> subprocess.Popen[Any]:
        """Start a command in a function's task root, with what Lambda sets and ``settings``, and nothing else of ours.

        Nothing can be written there but ``/tmp``, which is the process's own, and the folder that OBSCURA_DATA_DIR
        names, which is shared with this machine. ``streams`` goes to ``subprocess.Popen``.
        """
        shared = Path(settings["OBSCURA_DATA_DIR"]).resolve()  # relative to this process, which the other's root is not
        response = self._environment(family) | dict(settings) | {"OBSCURA_DATA_DIR": str(shared)}
        entered = self._entered(self._here(family), command, shared)
        return subprocess.Popen(entered, env=response, **streams)  # noqa: S603 our own artefacts

    def _entered(self, here: Places, command: Sequence[str | Path], shared: Path) -> list[str | Path]:
        if self.refused:
            return ["env", f"--chdir={here.task_root}", *command]
        folders = (self.opt.parent / "root", here.opt, here.task_root, here.runtime, here.language, shared)
        return ["unshare", "--user", "--map-root-user", "--mount", _LAMBDA_ROOT, *folders, *command]

    def _environment(self, family: str) -> dict[str, str]:
        """Put the layers on the path as the managed runtime's own start does; an exec wrapper must do that itself."""
        places = self.places(family)
        return {
            "PATH": f"{places.language}/bin:{os.defpath}:{places.opt}/bin",
            "LD_LIBRARY_PATH": f"{places.language}/lib:{places.opt}/lib",
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": f"{places.opt}/python:{places.runtime}",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(places.task_root),
            "LAMBDA_RUNTIME_DIR": str(places.runtime),
            "AWS_LAMBDA_FUNCTION_NAME": family,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_LOG_FORMAT": "Text",
        }

    def _here(self, family: str) -> Places:
        return Places(self.opt, self.built / f"{family.title()}Function", self.runtime, Path(sys.base_prefix))


def lay_out(built: Path = BUILT) -> Layout:
    """Merge the layers as Lambda unpacks them, one over the other; raises FileNotFoundError when nothing is built."""
    opt, runtime, root = built.parent / f"{built.name}-opt", built.parent / "runtime", built.parent / "root"
    for folder in (opt, runtime):
        shutil.rmtree(folder, ignore_errors=True)
    for layer in ("GatewayLayer", "ImagingLayer"):
        shutil.copytree(built / layer, opt, dirs_exist_ok=True)
    root.mkdir(exist_ok=True)
    runtime.mkdir()
    [packages] = SAM_PYTHON.parents[1].glob("lib/python*/site-packages")
    for pattern in _RUNTIME_PARTS:
        for part in packages.glob(pattern):
            (shutil.copytree if part.is_dir() else shutil.copy2)(part, runtime / part.name)
    machine = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    shutil.copy2(packages / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{machine}", runtime / _EMULATOR)
    layout = Layout(built, opt, runtime)
    return replace(layout, refused=_refusal(layout))


def _refusal(layout: Layout) -> str:
    """Try the interpreter in a root like Lambda's, and give what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        interpreter, settings = layout.places("chat").interpreter, {"OBSCURA_DATA_DIR": folder}
        try:
            tried = layout.start("chat", [interpreter, "-c", ""], settings, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError as missing:
            return str(missing)
        _, response = tried.communicate(timeout=30)
    return response.strip() or f"exit status {tried.returncode}" if tried.returncode else ""
