"""Failures under the Runtime API's rules: before the start, before the first byte, after it."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.support.lambda_events import rest_event
from tests.support.lambda_process import lambda_function

# A function whose application does what ours must not.
BROKEN = """
import asyncio, logging, os
from fastapi import FastAPI
from obscura.aws.handler import LambdaHandler

application = FastAPI()

async def silent(scope, receive, send):
    pass

async def breaks(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"one ", "more_body": True})
    raise ValueError("content of the caller")

async def several(scope, receive, send):
    headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"Vary", b"x"), (b"vary", b"y"), (b"etag", b"z")]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body"})

async def trace(scope, receive, send):
    context = scope["aws.context"]
    values = [os.environ.get("_X_AMZN_TRACE_ID", "none"), context.aws_request_id, context.function_name]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": " ".join(values).encode()})

async def cancelled(scope, receive, send):
    asyncio.current_task().cancel()
    await asyncio.sleep(1)

async def fails_beside(scope, receive, send):
    await asyncio.wait({asyncio.create_task(breaks(scope, receive, lambda _: asyncio.sleep(0)))})
    await trace(scope, receive, send)

async def library_logs(scope, receive, send):
    try:
        await breaks(scope, receive, lambda _: asyncio.sleep(0))
    except ValueError:
        logging.getLogger("a library").exception("it failed")
    await trace(scope, receive, send)

async def blocked(scope, receive, send):
    with open(os.environ["GATE"]) as gate:
        gate.read()
    await trace(scope, receive, send)

for app in (silent, breaks, several, trace, cancelled, fails_beside, library_logs, blocked):
    application.mount(f"/{app.__name__}", app)
handler = LambdaHandler(application)
"""


@pytest.fixture
def task_root(tmp_path: Path) -> Path:
    folder = tmp_path / "function"
    folder.mkdir()
    (folder / "app.py").write_text(BROKEN)
    return folder


async def test_a_failure_after_the_first_byte_is_in_the_trailers_without_message(
    task_root: Path, tmp_path: Path
) -> None:
    async with lambda_function(task_root, tmp_path) as function:
        response = function.api.invoke(rest_event("GET", "/breaks/now"))

        assert await response.body() == b"one "
        assert response.trailers["lambda-runtime-function-error-type"] == "Function.ValueError"
        assert response.trailing_failure()["errorType"] == "Function.ValueError"
        await function.api.idle()

    assert "content of the caller" not in str(response.trailing_failure())
    assert any("Function.ValueError" in line for line in function.lines)
    assert "content of the caller" not in "".join(function.lines)


async def test_a_failure_before_the_first_byte_is_reported_as_an_error(task_root: Path, tmp_path: Path) -> None:
    async with lambda_function(task_root, tmp_path) as function:
        response = function.api.invoke(rest_event("GET", "/silent/now"))

        assert (await response.failure())["errorType"] == "Function.NoAnswer"
        assert not response.prelude.done()


async def test_repeated_headers_and_cookies_keep_all_their_values(task_root: Path, tmp_path: Path) -> None:
    async with lambda_function(task_root, tmp_path) as function:
        response = function.api.invoke(rest_event("GET", "/several/now"))

        assert await response.head() == {
            "statusCode": 204,
            "headers": {"etag": "z"},
            "multiValueHeaders": {"vary": ["x", "y"]},
            "cookies": ["a=1", "b=2"],
        }
        assert await response.body() == b""


async def test_each_invocation_has_its_own_trace_id_and_context(task_root: Path, tmp_path: Path) -> None:
    async with lambda_function(task_root, tmp_path) as function:
        traced = function.api.invoke(rest_event("GET", "/trace/now"), trace_id="Root=1-2-3")
        untraced = function.api.invoke(rest_event("GET", "/trace/now"))

        assert await traced.body() == f"Root=1-2-3 {traced.request_id} obscura-function".encode()
        assert await untraced.body() == f"none {untraced.request_id} obscura-function".encode()


async def test_all_invocations_of_an_environment_share_one_connection(task_root: Path, tmp_path: Path) -> None:
    async with lambda_function(task_root, tmp_path) as function:
        for path in ("/trace/now", "/silent/now", "/breaks/now", "/trace/now"):
            function.api.invoke(rest_event("GET", path))
        await function.api.idle()

        assert function.api.connections == 1


async def test_a_connection_that_closes_during_a_blocking_call_loses_no_response(
    task_root: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with lambda_function(task_root, tmp_path, {"GATE": str(gate)}) as function:
        response = function.api.invoke(rest_event("GET", "/blocked/now"))

        with await asyncio.to_thread(gate.open, "w"):
            await function.api.drop_connections()

        assert (await response.head())["statusCode"] == 200


async def test_a_rejected_response_is_logged_and_the_next_one_is_served(task_root: Path, tmp_path: Path) -> None:
    async with lambda_function(task_root, tmp_path) as function:
        function.api.response_status = 413
        rejected = function.api.invoke(rest_event("GET", "/trace/now"))
        await function.api.idle()
        function.api.response_status = 202
        after = function.api.invoke(rest_event("GET", "/trace/now"))

        assert (await after.head())["statusCode"] == 200
        await function.api.idle()

    (line,) = function.lines
    assert "413" in line
    assert rejected.request_id in line


async def test_a_runtime_api_that_cannot_go_on_ends_the_process(task_root: Path, tmp_path: Path) -> None:
    async with lambda_function(task_root, tmp_path) as function:
        function.api.response_status = 500
        function.api.invoke(rest_event("GET", "/trace/now"))

        assert await function.process.wait() == 1


async def test_a_request_that_is_cancelled_fails_alone(task_root: Path, tmp_path: Path) -> None:
    async with lambda_function(task_root, tmp_path) as function:
        cancelled = function.api.invoke(rest_event("GET", "/cancelled/now"))
        after = function.api.invoke(rest_event("GET", "/trace/now"))

        assert (await cancelled.failure())["errorType"] == "Function.Cancelled"
        assert (await after.head())["statusCode"] == 200


@pytest.mark.parametrize("log_format", ["Text", "JSON"])
@pytest.mark.parametrize("path", ["/fails_beside/now", "/library_logs/now"])
async def test_a_failure_beside_the_response_is_logged_without_its_message(
    task_root: Path, tmp_path: Path, path: str, log_format: str
) -> None:
    async with lambda_function(task_root, tmp_path, {"AWS_LAMBDA_LOG_FORMAT": log_format}) as function:
        response = function.api.invoke(rest_event("GET", path))
        await response.body()
        await function.api.idle()

    log = "\n".join(function.lines)
    assert "ValueError" in log
    assert response.request_id in log
    assert "content of the caller" not in log


@pytest.mark.parametrize(
    ("code", "error_type"),
    [
        ("raise ValueError('secret')", "Runtime.ValueError"),
        ("import a_module_that_is_not_there", "Runtime.ModuleNotFoundError"),
        ("handler = print", "Runtime.TypeError"),
        ("def handler(:", "Runtime.SyntaxError"),
    ],
)
async def test_a_function_that_cannot_be_loaded_is_reported_and_ends(
    task_root: Path, tmp_path: Path, code: str, error_type: str
) -> None:
    (task_root / "app.py").write_text(code)

    async with lambda_function(task_root, tmp_path) as function:
        path, headers, document = await function.api.report()
        status = await function.process.wait()

    assert path == "/init/error"
    assert headers["lambda-runtime-function-error-type"] == document["errorType"] == error_type
    assert "secret" not in str(document)
    assert status == 1


async def test_a_wrong_setting_fails_the_start_and_is_named_without_its_value(tmp_path: Path) -> None:
    async with lambda_function("chat", tmp_path, UPSTREAM_URL="hunter2") as function:
        _, _, document = await function.api.report()
        await function.process.wait()

    assert "OBSCURA_UPSTREAM_URL" in document["errorMessage"]
    assert "hunter2" not in str(document) + "".join(function.lines)


async def test_under_sam_local_the_process_becomes_the_standard_runtime(task_root: Path, tmp_path: Path) -> None:
    async with lambda_function(
        task_root, tmp_path, {"AWS_SAM_LOCAL": "true"}, standard_runtime=("echo", "bootstrap.py")
    ) as function:
        status = await function.process.wait()

    assert status == 0
    assert function.lines == ["bootstrap.py"]
