"""A function's process as Lambda starts it: a family's handler in the streaming runtime, with a fake Runtime API."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obscura.auth.api_keys import create_key
from obscura.stores.sqlite.database import open_database
from obscura.stores.sqlite.keys import SqliteKeyStore
from tests.support.runtime_api import FakeRuntimeApi, runtime_api

FUNCTIONS = Path(__file__).parents[2] / "functions"


@dataclass
class Function:
    """A running function: ``api`` is its Runtime API, ``key`` a valid API key, ``lines`` its log lines."""

    api: FakeRuntimeApi
    process: asyncio.subprocess.Process
    key: str
    lines: list[str] = field(default_factory=list)

    @property
    def bearer(self) -> dict[str, Any]:
        return {"Authorization": f"Bearer {self.key}"}


async def new_key(data_dir: Path) -> str:
    with closing(open_database(data_dir)) as database:
        _, secret = await create_key(SqliteKeyStore(database), "tests")
    return secret


def function_environment(task_root: Path, data_dir: Path, **settings: str) -> dict[str, str]:
    """Lambda's variables for a function, and these settings; by default no moderation, and no rate limit in reach."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OBSCURA_", "AWS_"))}
    ours = {"MODERATION": "off", "KEY_REQUESTS_PER_MINUTE": "1000000", "DATA_DIR": str(data_dir)} | settings
    return (
        kept
        | {
            "AWS_LAMBDA_FUNCTION_NAME": f"obscura-{task_root.name}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "LAMBDA_TASK_ROOT": str(task_root),
            "_HANDLER": "app.handler",
        }
        | {f"OBSCURA_{name}": value for name, value in ours.items()}
    )


@asynccontextmanager
async def lambda_function(
    family: str | Path,
    data_dir: Path,
    environment: dict[str, str] | None = None,
    standard_runtime: tuple[str, ...] = (),
    concurrency: int | None = None,
    **settings: str,
) -> AsyncIterator[Function]:
    """Run a family's function, or the one in a folder; ``environment`` adds to Lambda's variables.

    ``standard_runtime`` is the command line that Lambda's exec wrapper would pass on, ``concurrency`` what Managed
    Instances say.
    """
    task_root = FUNCTIONS / family
    key = await new_key(data_dir)
    managed = {} if concurrency is None else {"AWS_LAMBDA_MAX_CONCURRENCY": str(concurrency)}
    async with runtime_api(concurrency or 1) as api:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "obscura.aws.runtime", *standard_runtime,
            cwd=task_root,
            env=function_environment(task_root, data_dir, **settings)
            | {"AWS_LAMBDA_RUNTIME_API": api.address}
            | managed
            | (environment or {}),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        function = Function(api, process, key)
        reading = asyncio.create_task(_collect_lines(function))
        try:
            yield function
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
            await reading


async def _collect_lines(function: Function) -> None:
    async for line in function.process.stdout:
        function.lines.append(line.decode().rstrip("\n"))
