"""``python -m obscura.cli.container``: the gateway in a container, with the stored keys and none of its own."""

import socket

import uvicorn

from obscura.api.app import create_app
from obscura.bootstrap import process_memory_bytes
from obscura.cli.serve import max_connections, server_config, tune_process
from obscura.settings import Settings
from obscura.telemetry.port import metrics_port

PORT = 8000


def main() -> None:
    """Serve on every interface: only the load balancer reaches a container."""
    settings = Settings()
    app = create_app(settings)
    tune_process(process_memory_bytes(settings))
    server = uvicorn.Server(server_config(app, max_connections(settings), settings.idle_connection_s))
    with metrics_port(settings, app.state.telemetry and app.state.telemetry.shared):
        server.run(sockets=[socket.create_server(("", PORT), backlog=2048)])


if __name__ == "__main__":
    main()
