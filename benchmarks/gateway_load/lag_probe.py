"""Serves Obscura as ``obscura serve`` does, with a task on its event loop that records how late each tick comes.

Run as ``python -m benchmarks.gateway_load.lag_probe PORT``; ``GET /benchmark-lag`` returns the ticks since its last
call. The application is not patched: the probe is ASGI middleware around it.
"""

import asyncio
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from obscura.api.app import create_app
from obscura.cli.serve import server_config, tune_process
from obscura.settings import Settings

TICK_S = 0.001

type Message = MutableMapping[str, Any]
type App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class LagProbe:
    """ASGI middleware that measures the loop's lag."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._ticks: list[tuple[float, float, float]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan" and self._task is None:
            self._task = asyncio.create_task(self._tick())
        if scope.get("path") != "/benchmark-lag":
            await self._app(scope, receive, send)
            return
        ticks, self._ticks = self._ticks, []
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(ticks).encode()})

    async def _tick(self) -> None:
        """Record for each tick, in ms: how late it was, the loop's own work before it, and its wait for a core."""
        stat = _schedstat()
        then, work_then, queued_then = time.perf_counter(), time.thread_time(), _queued_s(stat)
        while True:
            await asyncio.sleep(TICK_S)
            now, work, queued = time.perf_counter(), time.thread_time(), _queued_s(stat)
            late_s = max(0.0, now - then - TICK_S)
            self._ticks.append((late_s * 1e3, (work - work_then) * 1e3, (queued - queued_then) * 1e3))
            then, work_then, queued_then = now, work, queued


def _schedstat() -> int | None:
    """Open the loop thread's scheduling figures (Linux, Documentation/scheduler/sched-stats)."""
    try:
        return os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
    except OSError:
        return None


def _queued_s(stat: int | None) -> float:
    """Return the seconds that the thread was ready to run and had no core."""
    return 0.0 if stat is None else int(os.pread(stat, 200, 0).split()[1]) / 1e9


if __name__ == "__main__":
    tune_process()
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    uvicorn.Server(server_config(LagProbe(create_app(Settings())))).run(sockets=[listener])
