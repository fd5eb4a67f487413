"""Peak memory of the chat function under the audit's files: ``python -m benchmarks.lambda_memory [--cgroup PARENT]``.

The function's process runs with the memory sizes of ``--sizes``, in a memory control group of that size if ``--cgroup``
names a group in which another may be made: past it the kernel ends the process, as on Lambda. Each request is sent
alone, and then all of them at once with ``AWS_LAMBDA_MAX_CONCURRENCY`` on 2,048 MB.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from benchmarks.memory_attack import control_group, peak_mib
from tests.support.fake_upstream import answers
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import Function, lambda_function
from tests.support.loopback_server import loopback_server
from tests.support.memory_bombs import bombs

SIZES_MB = (512, 1024, 1769)
MANAGED_MB, AT_ONCE = 2048, 16
WAIT_S = 120


async def status_of(function: Function, body: dict[str, object]) -> str:
    """Return the status and code of one request, or that the process ended."""
    event = rest_event("POST", "/v1/chat/completions", body, **function.bearer)
    response = function.api.invoke(event, within_s=WAIT_S)
    head = asyncio.ensure_future(response.prelude)
    ended = asyncio.create_task(function.process.wait())
    await asyncio.wait({head, ended}, return_when=asyncio.FIRST_COMPLETED, timeout=WAIT_S)
    ended.cancel()
    if not head.done():
        head.cancel()
        return f"ended with {function.process.returncode}"
    answer = await response.json()
    return f"{head.result()['statusCode']} {answer.get('error', {}).get('code', '')}".strip()


async def measure(size_mb: int, concurrency: int | None, cgroup: Path | None) -> None:
    """Print the statuses and the peak of one memory size."""
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(size_mb)}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            loopback_server(answers()) as upstream,
            lambda_function(
                "chat", Path(folder), environment, concurrency=concurrency, UPSTREAM_URL=upstream.v1
            ) as function,
        ):
            await function.api.idle()
            with control_group(cgroup, size_mb, function.process.pid):
                if concurrency is None:
                    statuses = {name: await status_of(function, body) for name, body in bombs().items()}
                else:
                    asked = [status_of(function, body) for body in list(bombs().values()) * (concurrency // 3)]
                    answered = await asyncio.gather(*asked)
                    statuses = {status: str(answered.count(status)) for status in sorted(set(answered))}
                alive = function.process.returncode is None
                peak = f"{peak_mib(function.process.pid):.0f} MiB" if alive else "killed"
    print(f"{size_mb:>5} MB, {concurrency or 1:>2} at once: peak {peak}; {statuses}", flush=True)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=SIZES_MB)
    arguments.add_argument("--cgroup", type=Path)
    chosen = arguments.parse_args()
    for size_mb in chosen.sizes:
        asyncio.run(measure(size_mb, None, chosen.cgroup))
    asyncio.run(measure(MANAGED_MB, AT_ONCE, chosen.cgroup))


if __name__ == "__main__":
    main()
