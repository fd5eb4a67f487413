"""Several server processes on one port: started, replaced when one dies, and ended together (ADR 147)."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import closing, suppress

import msgspec

from obscura.cli.dispatcher import Dispatcher
from obscura.machine_memory import MIB, usable_memory_bytes
from obscura.settings import PREFIX

WORKER_MODULE = "obscura.cli.worker"
FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 5.0
"""Before a worker is replaced that died before it served."""
WORKER_BYTES = 512 * MIB
"""The least memory of a worker for which another is started by default."""


def default_workers() -> int:
    """Return one worker for each core of this process, as many as its memory suffices for, and at least one."""
    cores = os.process_cpu_count() or 1
    return max(1, min(cores, usable_memory_bytes(os.environ) // WORKER_BYTES))


def set_workers(count: int) -> None:
    """Let this process, and all that it starts, know how many share this machine's memory and connections."""
    os.environ[f"{PREFIX}WORKERS"] = str(count)


class Supervisor:
    """Keeps ``count`` workers, and passes connections to them, until a signal ends them.

    A worker's standard input is its channel to the ``Dispatcher``; it ends when the other side closes, so that no
    worker outlives its supervisor. It is in a process group of its own: Ctrl-C reaches the supervisor alone.
    """

    def __init__(self, count: int, listener: socket.socket, *, end_timeout_s: float) -> None:
        """``end_timeout_s`` is how long workers may take to end before they are killed."""
        self._count = count
        self._dispatcher = Dispatcher(listener)
        self._end_timeout_s = end_timeout_s
        self._processes: set[Process] = set()
        self._ready = 0
        self._ending = asyncio.Event()
        self._status = 0

    async def run(self, announce: Callable[[], None]) -> int:
        """Serve, and call ``announce`` once all workers do; returns 0, or the status of a worker that cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, number)
        keeping = [asyncio.create_task(self._keep_one(announce)) for _ in range(self._count)]
        try:
            await asyncio.gather(*keeping)
        finally:
            self._signal_all(signal.SIGKILL)
            self._dispatcher.close()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return self._status

    async def _keep_one(self, announce: Callable[[], None]) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._ending.is_set():
            served, status = await self._run_worker(announce)
            if self._ending.is_set():
                return
            _log_end(status)
            if not served and self._ready < self._count:  # it never started: no replacement will
                self._status = status or 1
                self._end(signal.SIGTERM)
                return
            pause_s = FIRST_PAUSE_S if served else min(2 * pause_s, MAX_PAUSE_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause_s)

    async def _run_worker(self, announce: Callable[[], None]) -> tuple[bool, int]:
        """Run one worker to its end; returns whether it accepted requests, and its status."""
        ours, its = socket.socketpair()
        with closing(ours):
            with closing(its):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", WORKER_MODULE, stdin=its.fileno(), process_group=0
                )
            self._processes.add(process)
            if self._ending.is_set():
                process.send_signal(signal.SIGTERM)
            ours.setblocking(False)
            try:
                served = bool(await asyncio.get_running_loop().sock_recv(ours, 1))
            except ConnectionError:
                served = False
            if served:
                self._dispatcher.add(ours)
                self._ready += 1
                if self._ready == self._count:
                    announce()
            status = await process.wait()
            self._dispatcher.remove(ours)
            self._processes.discard(process)
            return served, status

    def _end(self, _signal: signal.Signals) -> None:
        """Let workers drain; at the second signal let them end at once, and kill those that take too long."""
        if self._ending.is_set():
            self._signal_all(signal.SIGINT)  # by which a worker that is ending stops to wait (uvicorn, handle_exit)
            return
        self._ending.set()
        self._dispatcher.close()
        self._signal_all(signal.SIGTERM)
        asyncio.get_running_loop().call_later(self._end_timeout_s, self._signal_all, signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(number)


def _log_end(status: int) -> None:
    """Write a line in the form of the access log; a negative status is the signal that ended the worker."""
    line = {"level": "ERROR", "message": "worker_ended", "service": "obscura", "status": status}
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()
