"""The list of commands, which is written without importing them, held to the commands."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from obscura.cli import app
from obscura.cli.lazy_group import SUMMARIES, load_command
from tests.support.coverage import unmeasured


def test_version_is_that_of_the_installed_package() -> None:
    result = CliRunner().invoke(app, ["--version"])

    assert (result.exit_code, result.stdout) == (0, f"obscura {version('obscura')}\n")


@pytest.mark.parametrize("name", SUMMARIES)
def test_each_summary_is_the_commands_own_help(name: str) -> None:
    assert (load_command(name).help or "").strip() == SUMMARIES[name]


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_argument_and_option_has_help(name: str) -> None:
    command = load_command(name)

    for one in getattr(command, "commands", {name: command}).values():
        assert [parameter.name for parameter in one.params if not parameter.help] == []


def test_help_imports_no_command_and_no_library_of_one() -> None:
    code = "import sys; from obscura.cli import main; sys.argv[1:] = ['--help']; main()"
    traced = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        env=unmeasured(os.environ), capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip

    imported = {line.rpartition("|")[2].strip() for line in traced.stderr.splitlines()}
    assert "serve" in traced.stdout
    assert imported & {"fastapi", "httpx", "pydantic", "PIL", "uvicorn", "boto3", "sqlite3"} == set()
