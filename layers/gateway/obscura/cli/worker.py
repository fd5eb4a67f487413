"""``python -m obscura.cli.worker DESCRIPTOR``: one of several server processes on one socket (ADR 147)."""

import asyncio
import socket
import sys

import uvicorn

from obscura.api.app import create_app
from obscura.bootstrap import process_memory_bytes
from obscura.cli.serve import max_connections, server_config, tune_process
from obscura.settings import Settings


class WorkerServer(uvicorn.Server):
    """Reports to its supervisor when it accepts requests, and ends when the supervisor is gone."""

    def __init__(self, config: uvicorn.Config, supervisor: socket.socket) -> None:
        super().__init__(config)
        self._supervisor = supervisor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept requests, and say so."""
        await super().startup(sockets)
        if self.started:
            self._supervisor.setblocking(False)
            asyncio.get_running_loop().add_reader(self._supervisor, self._end)
            self._supervisor.send(b"\x01")

    def _end(self) -> None:
        """Drain: a supervisor never writes, so its socket is readable when it is closed."""
        asyncio.get_running_loop().remove_reader(self._supervisor)
        self.should_exit = True


def main() -> None:
    """Serve on the socket that the supervisor listens on, with this worker's share of memory and connections."""
    settings = Settings()
    app = create_app(settings)
    tune_process(process_memory_bytes(settings))
    server = WorkerServer(server_config(app, max_connections(settings)), socket.socket(fileno=0))
    server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
