"""The layout of the build in a rehearsal: what a function's process finds, and where it can write."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal.emulator import WRAPPER, emulated
from rehearsal.layout import Layout, install_layout
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import new_key

INSPECTS = """
import json, os, pathlib, sys, obscura.settings, PIL, awslambdaric

def error_of_writing(folder):
    try:
        pathlib.Path(folder, "written").touch()
    except OSError as error:
        return os.strerror(error.errno)

folders = ["/", "/opt", "/opt/python/obscura", "/var/task", "/var/runtime", "/var/lang", "/usr", "/etc", "/tmp"]
print(json.dumps({
    "errors": {folder: error_of_writing(folder) for folder in [*folders, os.environ["OBSCURA_DATA_DIR"]]},
    "modules": [obscura.settings.__file__, PIL.__file__, awslambdaric.__file__],
    "interpreter": sys.executable,
    "here": [os.getcwd(), *os.listdir()],
    "variables": sorted(os.environ),
}))
"""


@pytest.fixture(scope="module")
def layout() -> Layout:
    return install_layout()


@pytest.fixture(scope="module")
def seen(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a process in place of the chat function sees."""
    if layout.rejection:
        pytest.skip(str(layout))
    settings = {"OBSCURA_DATA_DIR": str(tmp_path_factory.mktemp("data")), "OBSCURA_MODERATION": "off"}
    process = layout.start("chat", [layout.paths("chat").interpreter, "-c", INSPECTS], settings, stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=30)
    return json.loads(output)


def test_linux_with_user_namespaces_is_laid_out_as_on_lambda(layout: Layout) -> None:
    """So that a fault of the layout cannot pass for a machine without namespaces."""
    allowed = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False
    )

    assert bool(layout.rejection) == bool(allowed.returncode)


def test_layers_code_and_runtime_client_are_in_lambdas_folders(seen: dict) -> None:
    assert seen["modules"] == [
        "/opt/python/obscura/settings.py",
        "/opt/python/PIL/__init__.py",
        "/var/runtime/awslambdaric/__init__.py",
    ]
    assert seen["here"] == ["/var/task", "app.py"]
    assert seen["interpreter"] == "/var/lang/bin/python3.13"


def test_only_tmp_and_the_shared_folder_can_be_written_to(seen: dict) -> None:
    writable = {folder for folder, error in seen["errors"].items() if error is None}
    errors = {error for error in seen["errors"].values() if error is not None}

    assert len(writable) == 2
    assert "/tmp" in writable  # noqa: S108 Lambda's own
    assert errors == {"Read-only file system"}


def test_a_process_has_no_variables_of_the_machine_that_started_it(seen: dict) -> None:
    families = ("AWS_LAMBDA_", "LAMBDA_", "OBSCURA_", "PYTHON")
    others = {name for name in seen["variables"] if not name.startswith(families)}

    assert others <= {"LANG", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TZ"}


@pytest.mark.parametrize("rejection", ["", "unshare: Operation not permitted"], ids=["as on Lambda", "where built"])
def test_a_data_folder_is_relative_to_the_callers_working_directory(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rejection: str
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    laid_out = replace(layout, rejection=layout.rejection or rejection)
    writes = "import os, pathlib; pathlib.Path(os.environ['OBSCURA_DATA_DIR'], 'written').touch()"

    interpreter = laid_out.paths("chat").interpreter
    process = laid_out.start("chat", [interpreter, "-c", writes], {"OBSCURA_DATA_DIR": "data"})

    assert process.wait(30) == 0
    assert (tmp_path / "data" / "written").exists()


async def test_without_namespaces_the_artefacts_run_from_where_they_were_built(layout: Layout, tmp_path: Path) -> None:
    settings = {"OBSCURA_DATA_DIR": str(tmp_path), WRAPPER: "/opt/bin/obscura-runtime"}
    key = await new_key(tmp_path)
    rejected = replace(layout, rejection="unshare: Operation not permitted")
    with emulated(rejected, "chat", settings) as function:
        body = {"model": "obscura-demo", "messages": [{"role": "user", "content": "What do you see?"}]}
        response = function.invoke(rest_event("POST", "/v1/chat/completions", body, Authorization=f"Bearer {key}"))

    assert (response.status, response.streamed) == (200, True)
    assert rejected.paths("chat").interpreter == Path(sys.base_prefix) / "bin" / "python3.13"
    assert "this machine rejected" in str(rejected)
