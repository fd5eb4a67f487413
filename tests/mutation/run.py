"""Runs the tests of a module against a mutant of it, in a process of its own; no file is changed.

The process is forked from one that has imported what the tests need of others' libraries, and nothing of Obscura: a
mutant takes the time of its own tests. A finder before all others gives the changed source to who imports the module,
so it does not matter that ``obscura`` is a namespace package with two roots.
"""

import importlib
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from tests.mutation.targets import ROOT, Target

_LIBRARIES = (
    "pytest", "pytest_asyncio.plugin", "pytest_timeout", "_hypothesis_pytestplugin", "hypothesis",
    "hypothesis.strategies", "numpy", "PIL.Image", "PIL.ImageFile", "httpx", "fastapi", "uvicorn", "uvloop", "pydantic",
    "pydantic_settings", "msgspec", "jwt", "boto3", "openai", "cryptography.hazmat.primitives.asymmetric.rsa",
)  # fmt: skip
_MAX_MEMORY_BYTES = 4 << 30
_PYTEST = (
    "-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", "-p", "pytest_timeout",
    "-p", "_hypothesis_pytestplugin",
)  # fmt: skip
"""The plugins that the tests need, and no other: the rest, and rewritten assertions, take longer than the tests."""
_MAX_WALL_S = 900.0
_DOES_NOT_LOAD = 100


class Outcome(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"
    DOES_NOT_LOAD = "does not load"


class _MutantLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: str) -> None:
        super().__init__(name, path)
        self._mutated = code

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._mutated, self.path, "exec", dont_inherit=True)


class _MutantFinder(MetaPathFinder):
    def __init__(self, target: Target, code: str) -> None:
        self._target = target
        self._code = code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._target.module:
            return None
        file = str(self._target.source)
        return importlib.util.spec_from_file_location(fullname, file, loader=_MutantLoader(fullname, file, self._code))


def warm_up() -> None:
    """Import the libraries that the tests use, for all processes that are forked afterwards."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    if any(name.partition(".")[0] == "obscura" for name in sys.modules):
        raise RuntimeError("a library has imported Obscura: its modules would not be the mutants")


def run_tests(target: Target, code: str, max_cpu_s: int, log: Path) -> tuple[Outcome, float]:
    """Run the target's tests with ``code`` in the module's place until one fails; ``log`` gets what pytest prints.

    Return the outcome and the CPU seconds. A mutant that works without end is ended by CPU time, which other processes
    do not change; one that waits without end by pytest's own time-out of a test, and by ``_MAX_WALL_S`` at last.
    """
    child = os.fork()
    if not child:
        _run_in_child(target, code, max_cpu_s, log)
    ends_at_s = time.monotonic() + _MAX_WALL_S
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > ends_at_s:
            _kill_group(child)
        time.sleep(0.02)
    _kill_group(child)  # what the tests have started and a mutant did not end
    return _outcome(os.waitstatus_to_exitcode(status)), usage.ru_utime + usage.ru_stime


def _outcome(exit_code: int) -> Outcome:
    if exit_code == _DOES_NOT_LOAD:
        return Outcome.DOES_NOT_LOAD
    if exit_code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return Outcome.TIMED_OUT
    return Outcome.KILLED if exit_code else Outcome.SURVIVED


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _run_in_child(target: Target, code: str, max_cpu_s: int, log: Path) -> None:
    status = 1
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (max_cpu_s, max_cpu_s + 5))
        os.chdir(ROOT)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        sys.meta_path.insert(0, _MutantFinder(target, code))
        status = _load_and_test(target)
    finally:
        os._exit(status)


def _load_and_test(target: Target) -> int:
    try:
        importlib.import_module(target.module)
    except Exception:
        return _DOES_NOT_LOAD
    return int(pytest.main([*_PYTEST, *target.tests]))
