"""``python -m obscura.cli.worker``: one of several server processes under a supervisor (ADR 147)."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, override

import uvicorn

from obscura.api.app import create_app
from obscura.bootstrap import process_memory_bytes
from obscura.cli.connections import ConnectionLimit
from obscura.cli.http_protocol import HttpProtocol
from obscura.cli.serve import max_connections, server_config, tune_process
from obscura.settings import Settings


class Channel:
    """The worker's side of its socket to the supervisor."""

    def __init__(self, supervisor: socket.socket) -> None:
        supervisor.setblocking(False)
        self._supervisor = supervisor
        self._unsent = 0

    def open(self, serve: Callable[[socket.socket], None], end: Callable[[], None]) -> None:
        """Say that requests are accepted; ``serve`` gets each connection, ``end`` is called if the supervisor ends."""
        asyncio.get_running_loop().add_reader(self._supervisor, self._receive, serve, end)
        self.report()

    def report(self) -> None:
        """Report a connection as ended; what the socket does not take is sent with the next report."""
        self._unsent += 1
        with suppress(OSError):
            self._unsent -= self._supervisor.send(bytes(self._unsent))

    def _receive(self, serve: Callable[[socket.socket], None], end: Callable[[], None]) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._supervisor, 1, 1)
        except BlockingIOError:
            return
        except ConnectionError:
            data, descriptors = b"", []
        if not data:
            asyncio.get_running_loop().remove_reader(self._supervisor)
            end()
        elif not descriptors:  # no more open files: the kernel has closed it
            self.report()
        for descriptor in descriptors:
            serve(socket.socket(fileno=descriptor))


class WorkerProtocol(HttpProtocol):
    """A connection whose end is reported to the supervisor."""

    channel: ClassVar[Channel]

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.channel.report()


class WorkerServer(uvicorn.Server):
    """Serves the connections that the supervisor passes to it, and drains when the supervisor is gone."""

    def __init__(self, config: uvicorn.Config, channel: Channel) -> None:
        super().__init__(config)
        self._channel = channel
        self._beginning: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start without a listening socket, and say so."""
        await super().startup(sockets=[])
        if self.started:
            self._channel.open(self._serve_connection, self._end)

    def _serve_connection(self, connection: socket.socket) -> None:
        task = asyncio.create_task(self._begin(connection))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()
            self._channel.report()

    def _protocol(self) -> WorkerProtocol:
        return WorkerProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _end(self) -> None:
        self.should_exit = True


def main() -> None:
    """Serve with this worker's share of memory and connections; standard input is the socket to the supervisor."""
    settings = Settings()
    app = create_app(settings)
    tune_process(process_memory_bytes(settings))
    WorkerProtocol.channel = channel = Channel(socket.socket(fileno=0))
    WorkerProtocol.connection_limit = ConnectionLimit(max_connections(settings))
    WorkerServer(server_config(app, idle_connection_s=settings.idle_connection_s), channel).run()


if __name__ == "__main__":
    main()
