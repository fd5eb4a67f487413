"""SnapStart: a fake Runtime API takes the snapshot, and what must be fresh after the restore is."""

from pathlib import Path

import pytest

from tests.support.lambda_events import rest_event
from tests.support.lambda_process import lambda_function

SNAPSTART = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}

# Every environment leaves its start with the same randomness, as restored ones would.
HOOKED = """
import random
from contextlib import asynccontextmanager
from fastapi import FastAPI
from snapshot_restore_py import register_after_restore, register_before_snapshot
from obscura.aws.handler import LambdaHandler

random.seed(1)
done = []

@asynccontextmanager
async def lifespan(app):
    done.append("connections opened")
    yield

application = FastAPI(lifespan=lifespan)
application.add_api_route("/done", lambda: {"done": done, "random": random.random()})
handler = LambdaHandler(application)
register_before_snapshot(done.append, "before 1")
register_before_snapshot(done.append, "before 2")
register_after_restore(done.append, "after 1")
register_after_restore(done.append, "after 2")
"""


def folder_with(tmp_path: Path, code: str) -> Path:
    folder = tmp_path / "function"
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(code)
    return folder


async def test_hooks_run_around_the_snapshot_and_connections_open_after_it(tmp_path: Path) -> None:
    async with lambda_function(folder_with(tmp_path, HOOKED), tmp_path, SNAPSTART) as function:
        response = function.api.invoke(rest_event("GET", "/done"))
        await function.api.waiting_for_restore.wait()
        connections_before = function.api.connections
        function.api.restored.set()

        done = (await response.json())["done"]
        assert done == ["before 2", "before 1", "after 1", "after 2", "connections opened"]
        assert (connections_before, function.api.connections) == (1, 2)


async def test_environments_of_one_snapshot_do_not_share_their_randomness(tmp_path: Path) -> None:
    drawn = set()
    for _ in range(2):
        async with lambda_function(folder_with(tmp_path, HOOKED), tmp_path, SNAPSTART) as function:
            function.api.restored.set()
            drawn.add((await function.api.invoke(rest_event("GET", "/done")).json())["random"])

    assert len(drawn) == 2


@pytest.mark.parametrize(
    ("hook", "path", "error_type", "status"),
    [
        ("before_snapshot", "/init/error", "Runtime.BeforeSnapshotError", 64),
        ("after_restore", "/restore/error", "Runtime.AfterRestoreError", 65),
    ],
)
async def test_a_hook_that_fails_is_reported_and_ends_the_process(
    tmp_path: Path, hook: str, path: str, error_type: str, status: int
) -> None:
    code = f"{HOOKED}\nregister_{hook}(lambda: 1 / 0)\n"
    async with lambda_function(folder_with(tmp_path, code), tmp_path, SNAPSTART) as function:
        function.api.restored.set()
        reported_path, headers, _ = await function.api.report()

        assert reported_path == path
        assert headers["lambda-runtime-function-error-type"] == error_type
        assert await function.process.wait() == status
