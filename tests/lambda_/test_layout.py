"""How the rehearsal lays out what was built: what a function's process finds, and what it can write."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal.emulator import WRAPPER, emulated
from rehearsal.layout import Layout, lay_out
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import new_key

LOOKS_AROUND = """
import json, os, pathlib, sys, obscura.settings, PIL, awslambdaric

def refuses_a_file(folder):
    try:
        pathlib.Path(folder, "left-behind").touch()
    except OSError as refused:
        return os.strerror(refused.errno)

folders = ["/", "/opt", "/opt/python/obscura", "/var/task", "/var/runtime", "/var/lang", "/usr", "/etc", "/tmp"]
print(json.dumps({
    "refused": {folder: refuses_a_file(folder) for folder in [*folders, os.environ["OBSCURA_DATA_DIR"]]},
    "modules": [obscura.settings.__file__, PIL.__file__, awslambdaric.__file__],
    "interpreter": sys.executable,
    "here": [os.getcwd(), *os.listdir()],
    "variables": sorted(os.environ),
}))
"""


@pytest.fixture(scope="module")
def layout() -> Layout:
    return lay_out()


@pytest.fixture(scope="module")
def seen(layout, tmp_path_factory) -> dict:
    """What a process in the chat function's place sees."""
    if layout.refused:
        pytest.skip(str(layout))
    settings = {"OBSCURA_DATA_DIR": str(tmp_path_factory.mktemp("data")), "OBSCURA_MODERATION": "off"}
    process = layout.start(
        "chat", [layout.places("chat").interpreter, "-c", LOOKS_AROUND], settings, stdout=subprocess.PIPE
    )
    response, _ = process.communicate(timeout=30)
    return json.loads(response)


def test_linux_with_user_namespaces_is_laid_out_as_on_lambda(layout):
    """So that a fault of the layout's own cannot pass for a machine that refuses."""
    allowed = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False
    )

    assert bool(layout.refused) == bool(allowed.returncode)


def test_the_layers_are_at_opt_the_code_in_the_task_root_and_the_client_in_the_runtimes_folder(seen):
    assert seen["modules"] == [
        "/opt/python/obscura/config.py",
        "/opt/python/PIL/__init__.py",
        "/var/runtime/awslambdaric/__init__.py",
    ]
    assert seen["here"] == ["/var/task", "app.py"]
    assert seen["interpreter"] == "/var/lang/bin/python3.13"


def test_nothing_can_be_written_but_tmp_and_the_folder_that_is_shared(seen):
    writable = {folder for folder, refused in seen["refused"].items() if refused is None}
    refusals = {refused for refused in seen["refused"].values() if refused is not None}

    assert len(writable) == 2
    assert "/tmp" in writable  # noqa: S108 Lambda's own
    assert refusals == {"Read-only file system"}


def test_a_process_knows_nothing_of_the_machine_that_started_it(seen):
    families = ("AWS_LAMBDA_", "LAMBDA_", "OBSCURA_", "PYTHON")
    others = {name for name in seen["variables"] if not name.startswith(families)}

    assert others <= {"LANG", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TZ"}


@pytest.mark.parametrize("refused", ["", "unshare: Operation not permitted"], ids=["as on Lambda", "where it lies"])
def test_a_data_folder_is_named_from_where_the_command_was_given(layout, tmp_path, monkeypatch, refused):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    laid_out = replace(layout, refused=layout.refused or refused)
    writes = "import os, pathlib; pathlib.Path(os.environ['OBSCURA_DATA_DIR'], 'written').touch()"

    interpreter = laid_out.places("chat").interpreter
    process = laid_out.start("chat", [interpreter, "-c", writes], {"OBSCURA_DATA_DIR": "data"})

    assert process.wait(30) == 0
    assert (tmp_path / "data" / "written").exists()


async def test_a_machine_that_refuses_such_a_root_runs_the_same_artefacts_where_they_lie(layout, tmp_path):
    settings = {"OBSCURA_DATA_DIR": str(tmp_path), WRAPPER: "/opt/bin/obscura-runtime"}
    key = await new_key(tmp_path)
    refused = replace(layout, refused="unshare: Operation not permitted")
    with emulated(refused, "chat", settings) as function:
        body = {"model": "obscura-demo", "messages": [{"role": "user", "content": "What do you see?"}]}
        response = function.invoke(rest_event("POST", "/v1/chat/completions", body, Authorization=f"Bearer {key}"))

    assert (response.status, response.streamed) == (200, True)
    assert refused.places("chat").interpreter == Path(sys.base_prefix) / "bin" / "python3.13"
    assert "this machine refused" in str(refused)
