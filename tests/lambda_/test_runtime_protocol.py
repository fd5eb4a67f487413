"""The Runtime API's rules for what goes wrong: before the start, before the first byte, after it."""

from pathlib import Path

import pytest

from tests.support.lambda_events import rest_event
from tests.support.lambda_process import lambda_function

# A function whose application does what ours never should.
BROKEN = """
import os
from fastapi import FastAPI
from obscura.aws.entry import LambdaEntry

application = FastAPI()

async def silent(scope, receive, send):
    pass

async def breaks(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"one ", "more_body": True})
    raise ValueError("words of the caller")

async def several(scope, receive, send):
    headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"Vary", b"x"), (b"vary", b"y"), (b"etag", b"z")]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body"})

async def trace(scope, receive, send):
    context = scope["aws.context"]
    told = [os.environ.get("_X_AMZN_TRACE_ID", "none"), context.aws_request_id, context.function_name]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": " ".join(told).encode()})

for path, app in {"/silent": silent, "/breaks": breaks, "/several": several, "/trace": trace}.items():
    application.mount(path, app)
handler = LambdaEntry(application)
"""


@pytest.fixture
def task_root(tmp_path: Path) -> Path:
    folder = tmp_path / "function"
    folder.mkdir()
    (folder / "app.py").write_text(BROKEN)
    return folder


async def test_a_failure_after_the_first_byte_goes_into_the_trailers_without_its_words(task_root, tmp_path):
    async with lambda_function(task_root, tmp_path) as function:
        told = function.api.invoke(rest_event("GET", "/breaks/now"))

        assert await told.body() == b"one "
        assert told.trailers["lambda-runtime-function-error-type"] == "Function.ValueError"
        assert told.trailing_failure()["errorType"] == "Function.ValueError"
        await function.api.idle()

    assert "words of the caller" not in str(told.trailing_failure())
    assert any("Function.ValueError" in line for line in function.lines)
    assert "words of the caller" not in "".join(function.lines)


async def test_a_failure_before_the_first_byte_is_reported_as_an_error(task_root, tmp_path):
    async with lambda_function(task_root, tmp_path) as function:
        told = function.api.invoke(rest_event("GET", "/silent/now"))

        assert (await told.failure())["errorType"] == "Function.NoAnswer"
        assert not told.prelude.done()


async def test_headers_that_come_twice_and_cookies_keep_all_their_values(task_root, tmp_path):
    async with lambda_function(task_root, tmp_path) as function:
        told = function.api.invoke(rest_event("GET", "/several/now"))

        assert await told.head() == {
            "statusCode": 204,
            "headers": {"etag": "z"},
            "multiValueHeaders": {"vary": ["x", "y"]},
            "cookies": ["a=1", "b=2"],
        }
        assert await told.body() == b""


async def test_each_invocation_has_its_own_trace_id_and_context(task_root, tmp_path):
    async with lambda_function(task_root, tmp_path) as function:
        traced = function.api.invoke(rest_event("GET", "/trace/now"), trace_id="Root=1-2-3")
        untraced = function.api.invoke(rest_event("GET", "/trace/now"))

        assert await traced.body() == f"Root=1-2-3 {traced.request_id} obscura-function".encode()
        assert await untraced.body() == f"none {untraced.request_id} obscura-function".encode()


async def test_all_invocations_of_an_environment_share_one_connection(task_root, tmp_path):
    async with lambda_function(task_root, tmp_path) as function:
        for path in ("/trace/now", "/silent/now", "/breaks/now", "/trace/now"):
            function.api.invoke(rest_event("GET", path))
        await function.api.idle()

        assert function.api.connections == 1


@pytest.mark.parametrize(
    ("code", "error_type"),
    [
        ("raise ValueError('secret')", "Runtime.ValueError"),
        ("import a_module_that_is_not_there", "Runtime.ModuleNotFoundError"),
        ("handler = print", "Runtime.TypeError"),
        ("def handler(:", "Runtime.SyntaxError"),
    ],
)
async def test_a_function_that_cannot_be_loaded_is_reported_and_ends(task_root, tmp_path, code, error_type):
    (task_root / "app.py").write_text(code)

    async with lambda_function(task_root, tmp_path) as function:
        path, headers, document = await function.api.report()
        status = await function.process.wait()

    assert path == "/init/error"
    assert headers["lambda-runtime-function-error-type"] == document["errorType"] == error_type
    assert "secret" not in str(document)
    assert status == 1


async def test_a_wrong_setting_fails_the_start_and_is_named_without_its_value(tmp_path):
    async with lambda_function("chat", tmp_path, UPSTREAM_URL="hunter2") as function:
        _, _, document = await function.api.report()
        await function.process.wait()

    assert "OBSCURA_UPSTREAM_URL" in document["errorMessage"]
    assert "hunter2" not in str(document) + "".join(function.lines)


async def test_under_sam_local_the_process_becomes_the_standard_runtime(task_root, tmp_path):
    async with lambda_function(
        task_root, tmp_path, {"AWS_SAM_LOCAL": "true"}, standard_runtime=("echo", "bootstrap.py")
    ) as function:
        status = await function.process.wait()

    assert status == 0
    assert function.lines == ["bootstrap.py"]
