"""Secrets on AWS: SSM parameters below one path, read once at the start, from moto's server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from obscura.moderation.demo import MARKER_WORD
from tests.support.aws_server import aws_environment, aws_server
from tests.support.fake_upstream import answers
from tests.support.gateway import chat_request
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import lambda_function
from tests.support.loopback_server import loopback_server


@pytest.fixture
def aws() -> Iterator[dict[str, str]]:
    """The variables of an account that has our parameters."""
    with aws_server() as endpoint:
        put({"upstream-key": "sk-secret", "moderation": "demo", "something-else": "x"})
        yield aws_environment(endpoint)


def put(secrets: dict[str, str]) -> None:
    store = boto3.client("ssm")
    for name, value in secrets.items():
        store.put_parameter(Name=f"/obscura/{name}", Value=value, Type="SecureString", Overwrite=True)
    store.close()


async def test_the_upstreams_key_comes_from_its_parameter(aws: dict[str, str], tmp_path: Path) -> None:
    async with loopback_server(answers()) as upstream:
        settings: dict[str, Any] = {"UPSTREAM_URL": upstream.v1, "SECRETS_PATH": "/obscura"}
        async with lambda_function("chat", tmp_path, aws, **settings) as function:
            await function.api.invoke(
                rest_event("POST", "/v1/chat/completions", chat_request("hi"), **function.bearer)
            ).body()

        assert upstream.received[0].headers["authorization"] == "Bearer sk-secret"
        assert "sk-secret" not in "".join(function.lines)


async def test_a_function_at_level_debug_logs_no_secret(aws: dict[str, str], tmp_path: Path) -> None:
    debug = {"AWS_LAMBDA_LOG_LEVEL": "DEBUG", "AWS_LAMBDA_LOG_FORMAT": "JSON"}
    async with loopback_server(answers()) as upstream:
        settings: dict[str, Any] = {"UPSTREAM_URL": upstream.v1, "SECRETS_PATH": "/obscura", "LOG_LEVEL": "DEBUG"}
        async with lambda_function("chat", tmp_path, aws | debug, **settings) as function:
            await function.api.invoke(
                rest_event("POST", "/v1/chat/completions", chat_request("hi"), **function.bearer)
            ).body()
            await function.api.idle()

    assert any('"DEBUG"' in line for line in function.lines)
    assert "sk-secret" not in "".join(function.lines)
    assert function.key not in "".join(function.lines)


async def test_a_setting_that_is_no_secret_is_not_read_from_ssm(aws: dict[str, str], tmp_path: Path) -> None:
    async with loopback_server(answers()) as upstream:
        settings: dict[str, Any] = {"UPSTREAM_URL": upstream.v1, "SECRETS_PATH": "/obscura", "MODERATION": "off"}
        async with lambda_function("chat", tmp_path, aws, **settings) as function:
            body = chat_request(MARKER_WORD)
            response = function.api.invoke(rest_event("POST", "/v1/chat/completions", body, **function.bearer))

            assert (await response.head())["statusCode"] == 200


async def test_an_ssm_path_that_cannot_be_read_fails_the_start_and_is_named(tmp_path: Path) -> None:
    async with loopback_server(answers({}, 400)) as broken:
        settings: dict[str, Any] = {"UPSTREAM_URL": broken.v1, "SECRETS_PATH": "/obscura"}
        async with lambda_function("chat", tmp_path, aws_environment(broken.origin), **settings) as function:
            path, _, document = await function.api.report()
            await function.process.wait()

    assert path == "/init/error"
    assert "OBSCURA_SECRETS_PATH" in document["errorMessage"]


async def test_a_newline_at_the_end_of_a_secret_is_dropped(aws: dict[str, str], tmp_path: Path) -> None:
    put({"upstream-key": "sk-secret\n"})
    async with loopback_server(answers()) as upstream:
        settings: dict[str, Any] = {"UPSTREAM_URL": upstream.v1, "SECRETS_PATH": "/obscura"}
        async with lambda_function("chat", tmp_path, aws, **settings) as function:
            await function.api.invoke(
                rest_event("POST", "/v1/chat/completions", chat_request("hi"), **function.bearer)
            ).body()

        assert upstream.received[0].headers["authorization"] == "Bearer sk-secret"


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("upstream-key", "sk-secret\r\nX-Another: header", "OBSCURA_UPSTREAM_KEY"),
        ("moderation-key", "sk-ключ", "OBSCURA_MODERATION_KEY"),
        ("address-secret", "too short", "OBSCURA_ADDRESS_SECRET"),
    ],
)
async def test_an_unusable_secret_fails_the_start_and_is_named_without_its_value(
    aws: dict[str, str], tmp_path: Path, name: str, value: str, setting: str
) -> None:
    put({name: value})
    settings: dict[str, Any] = {
        "UPSTREAM_URL": "https://up.example/v1",
        "MODERATION": "openai",
        "SECRETS_PATH": "/obscura",
    }
    async with lambda_function("chat", tmp_path, aws, **settings) as function:
        path, _, document = await function.api.report()
        await function.process.wait()

    assert path == "/init/error"
    assert setting in document["errorMessage"]
    assert value not in str(document) + "".join(function.lines)
