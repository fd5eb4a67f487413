"""Built artefacts laid out as on Lambda: the layers in ``/opt``, a function's code in ``/var/task``, all read-only.

Each process gets a root file system of its own for this (``lambda_root.sh``, ADR 54). That takes Linux with user
namespaces; on other machines the same folders are used from where they were built, and ``Layout.rejection`` says why.
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
"""Output of `make build-host`, for this machine's own processor."""

_RUNTIME_PARTS = ("awslambdaric", "runtime_client*", "simplejson", "snapshot_restore_py*")
"""The packages of SAM's environment that are also in Lambda's managed runtime for Python."""

_EMULATOR = "aws-lambda-rie"
_LAMBDA_ROOT = Path(__file__).with_name("lambda_root.sh")


@dataclass(frozen=True)
class LambdaPaths:
    """Folders of a function's process (Lambda developer guide, "Defined runtime environment variables")."""

    opt: Path
    task_root: Path
    runtime: Path
    language: Path

    @property
    def interpreter(self) -> Path:
        """The bare interpreter: a virtual environment could have packages that a layer lacks."""
        return self.language / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def emulator(self) -> Path:
        """Lambda's runtime emulator, which is copied beside the runtime's client."""
        return self.runtime / _EMULATOR


ON_LAMBDA = LambdaPaths(Path("/opt"), Path("/var/task"), Path("/var/runtime"), Path("/var/lang"))


@dataclass(frozen=True)
class Layout:
    """``opt`` has the layers' content for ``/opt``, ``runtime`` the managed runtime's client and the emulator.

    ``rejection`` is empty, or the error with which this machine rejected a root file system like Lambda's.
    """

    built: Path
    opt: Path
    runtime: Path
    rejection: str = ""

    def __str__(self) -> str:
        """Describe the layout in a line."""
        if self.rejection:
            return f"not at /opt and writable, for this machine rejected a root like Lambda's ({self.rejection})"
        return "the layers are at /opt, the code in /var/task, both read-only"

    def paths(self, family: str) -> LambdaPaths:
        """Return the folders as a function's process sees them."""
        return self._built_paths(family) if self.rejection else ON_LAMBDA

    def start(
        self, family: str, command: Sequence[str | Path], settings: Mapping[str, str], **streams: Any
    ) -> subprocess.Popen[Any]:
        """Start a command in a function's task root, with Lambda's variables and ``settings`` and no others.

        Only ``/tmp``, which is the process's own, can be written to, and the folder that OBSCURA_DATA_DIR names, which
        is shared with this machine. ``streams`` goes to ``subprocess.Popen``.
        """
        shared = Path(settings["OBSCURA_DATA_DIR"]).resolve()  # from this process's folder: the other's is another
        environment = self._environment(family) | dict(settings) | {"OBSCURA_DATA_DIR": str(shared)}
        wrapped = self._in_root(self._built_paths(family), command, shared)
        return subprocess.Popen(wrapped, env=environment, **streams)  # noqa: S603 our own artefacts

    def _in_root(self, built: LambdaPaths, command: Sequence[str | Path], shared: Path) -> list[str | Path]:
        if self.rejection:
            return ["env", f"--chdir={built.task_root}", *command]
        folders = (self.opt.parent / "root", built.opt, built.task_root, built.runtime, built.language, shared)
        return ["unshare", "--user", "--map-root-user", "--mount", _LAMBDA_ROOT, *folders, *command]

    def _environment(self, family: str) -> dict[str, str]:
        """Return Lambda's variables, with the layers on the path as AWS's runtime has them; a wrapper sets its own."""
        paths = self.paths(family)
        return {
            "PATH": f"{paths.language}/bin:{os.defpath}:{paths.opt}/bin",
            "LD_LIBRARY_PATH": f"{paths.language}/lib:{paths.opt}/lib",
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": f"{paths.opt}/python:{paths.runtime}",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(paths.task_root),
            "LAMBDA_RUNTIME_DIR": str(paths.runtime),
            "AWS_LAMBDA_FUNCTION_NAME": family,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_LOG_FORMAT": "Text",
        }

    def _built_paths(self, family: str) -> LambdaPaths:
        return LambdaPaths(self.opt, self.built / f"{family.title()}Function", self.runtime, Path(sys.base_prefix))


def install_layout(built: Path = BUILT) -> Layout:
    """Merge the layers as Lambda unpacks them, one over the other; raises FileNotFoundError if nothing was built."""
    opt, runtime, root = built.parent / f"{built.name}-opt", built.parent / "runtime", built.parent / "root"
    for folder in (opt, runtime):
        shutil.rmtree(folder, ignore_errors=True)
    for layer in ("GatewayLayer", "ImagingLayer", "HeicDecoderLayer", "DocumentsLayer", "PolicyLayer"):
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
    return replace(layout, rejection=_try_root(layout))


def _try_root(layout: Layout) -> str:
    """Run the interpreter in a root like Lambda's; returns the error, empty if there was none."""
    with tempfile.TemporaryDirectory() as folder:
        interpreter, settings = layout.paths("chat").interpreter, {"OBSCURA_DATA_DIR": folder}
        try:
            process = layout.start("chat", [interpreter, "-c", ""], settings, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError as error:
            return str(error)
        _, errors = process.communicate(timeout=30)
    return errors.strip() or f"exit status {process.returncode}" if process.returncode else ""
