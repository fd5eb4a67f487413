"""Functions and layers as they are on Lambda: built for this machine, with bytecode, below one folder."""

import compileall
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).parents[2]
LAYERS = ROOT / "layers"
INTERPRETER = Path(sys.base_prefix) / "bin" / "python3.13"
_BUILDER = ROOT / "sam" / ".venv" / "bin" / "python"
_RUNTIME_CLIENT = ("awslambdaric", "snapshot-restore-py", "simplejson")


@dataclass(frozen=True, slots=True)
class Artefacts:
    """``opt`` stands for ``/opt/python``, ``runtime`` for what AWS's image has; task roots by function."""

    opt: Path
    runtime: Path
    functions: Path

    def environment(self, function: str, **settings: str) -> dict[str, str]:
        """Give what Lambda sets for a function, and nothing of this machine's but PATH."""
        task_root = self.functions / function
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{task_root}:{self.opt}:{self.runtime}",
            "LAMBDA_TASK_ROOT": str(task_root),
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "_HANDLER": "app.handler",
            **settings,
        }


def build(folder: Path) -> Artefacts:
    """Build both layers and compile the functions, unless ``folder`` has them already."""
    made = Artefacts(folder / "python", folder / "runtime", folder / "functions")
    architecture = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    if not made.opt.exists():
        for layer in ("gateway", "imaging"):
            subprocess.run(
                [_BUILDER, LAYERS / "build_layer.py", "--layer", layer, "--architecture", architecture,
                 "--limit-mb", "75", "--into", folder / layer],
                cwd=LAYERS, check=True,
            )  # fmt: skip
            shutil.copytree(folder / layer / "python", made.opt, dirs_exist_ok=True)
    shutil.rmtree(made.functions, ignore_errors=True)
    shutil.rmtree(made.runtime, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "functions", made.functions, ignore=ignored)
    shutil.copytree(Path(__file__).parent / "floor", made.functions / "floor", ignore=ignored)
    _copy_runtime_client(made.runtime)
    for compiled in (made.functions, made.runtime):
        compileall.compile_dir(compiled, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return made


def _copy_runtime_client(into: Path) -> None:
    """Copy AWS's own runtime client out of this environment: on Lambda it is in the image, compiled."""
    for name in _RUNTIME_CLIENT:
        for file in distribution(name).files or ():
            if file.suffix in {".py", ".so"} and ".." not in file.parts:
                target = into / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), target)
