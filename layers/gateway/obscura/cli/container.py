"""``python -m obscura.cli.container``: the gateway in a container, with the stored keys and none of its own."""

import asyncio
import socket
import sys

from obscura.cli.supervisor import Supervisor, default_workers, set_workers
from obscura.settings import Settings
from obscura.telemetry.port import metrics_port

PORT = 8000
END_TIMEOUT_S = 25.0
"""ECS kills a container 30 s after it asked it to stop."""


def main() -> int:
    """Serve on every interface, for only the load balancer reaches a container; returns the process's status.

    A worker for each core, unless ``OBSCURA_WORKERS`` says how many.
    """
    settings = Settings()
    count = settings.workers or default_workers()
    set_workers(count)
    listener = socket.create_server(("", PORT), backlog=2048)
    if count > 1:
        with metrics_port(settings, None):
            return asyncio.run(Supervisor(count, listener, end_timeout_s=END_TIMEOUT_S).run(lambda: None))
    _serve_alone(listener)
    return 0


def _serve_alone(listener: socket.socket) -> None:
    # Imported only now: a supervisor has no use for the application, which takes 60 MB.
    import uvicorn

    from obscura.api.app import create_app
    from obscura.bootstrap import process_memory_bytes
    from obscura.cli.serve import max_connections, server_config, tune_process

    settings = Settings()
    app = create_app(settings)
    tune_process(process_memory_bytes(settings))
    server = uvicorn.Server(server_config(app, max_connections(settings), settings.idle_connection_s))
    with metrics_port(settings, app.state.telemetry and app.state.telemetry.shared):
        server.run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
