"""What an operator sees: the prompts of ``sam deploy --guided`` and the stack's outputs."""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from obscura.auth.api_keys import key_digest
from obscura.settings import PREFIX, Settings
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.keys import DynamoKeyStore
from obscura.stores.dynamodb.tables import create_missing_tables
from rehearsal.stack import NAME, ROOT, SAM_PYTHON, Stack, translated
from tests.support.aws_server import aws_server


@pytest.fixture(scope="module")
def stack() -> Stack:
    return translated(ROOT / "template.yaml")


def test_every_prompt_of_a_guided_deployment_may_be_left_empty(tmp_path: Path) -> None:
    samconfig = shutil.copy(ROOT / "samconfig.toml", tmp_path)
    sam: list[str | Path] = [SAM_PYTHON.with_name("sam"), "deploy", "--guided", "--template", ROOT / "template.yaml"]
    unreachable = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "SAM_CLI_TELEMETRY": "0",
    }

    deployed = subprocess.run(
        [*sam, "--config-file", samconfig],
        input="\n" * 99,
        env={**os.environ, **unreachable},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Looking for resources needed for deployment" in deployed.stdout
    assert "Is this okay" not in deployed.stdout


def test_the_command_that_makes_a_key_uses_the_stacks_region(stack: Stack) -> None:
    command = shlex.split(stack.outputs()["MakeAKey"])
    start = command.index("obscura")
    variables = dict(word.split("=", 1) for word in command[: command.index("uv")])

    with aws_server(), closing(DynamoDb(NAME)) as database:
        asyncio.run(create_missing_tables(database))
        others = {name: value for name, value in os.environ.items() if name != "AWS_DEFAULT_REGION"}
        created = subprocess.run(
            [sys.executable, "-m", "obscura.cli", *command[start + 1 :]],
            env=others | variables | {"AWS_CONFIG_FILE": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )
        assert created.returncode == 0, created.stderr
        key = asyncio.run(DynamoKeyStore(database).find(key_digest(created.stdout.split()[-1])))

    assert key is not None
    assert key.project == "my-project"


def test_functions_start_with_every_value_that_a_parameter_allows(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = stack.template["Resources"]["ChatFunction"]["Properties"]["Environment"]["Variables"]
    parameters = stack.template["Parameters"]
    set_by = {
        name: parameter
        for name, value in variables.items()
        if name.startswith(PREFIX) and (parameter := _parameter(value)) is not None
    }

    for variable, parameter in set_by.items():
        for value in _allowed_values(parameters.get(parameter, {})):
            with monkeypatch.context() as environment:
                environment.setenv(variable, value)
                Settings()


def _parameter(value: object) -> str | None:
    """Return the parameter that a variable is set by, the last of those that a condition chooses from."""
    if not isinstance(value, dict):
        return None
    return _parameter(value["Fn::If"][-1]) if "Fn::If" in value else value["Ref"]


def _allowed_values(parameter: dict) -> list[str]:
    """Return the values that a parameter lists, or those of a few that match its pattern."""
    pattern = re.compile(parameter.get("AllowedPattern", ".*"))
    return parameter.get("AllowedValues", [value for value in ("", "0", "1", "250") if pattern.fullmatch(value)])
