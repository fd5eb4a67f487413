"""``python -m obscura.cli.container``: the gateway in a container, with the stored keys and none of its own."""

import socket

import uvicorn

from obscura.api.app import create_app
from obscura.cli.serve import server_config, tune_process
from obscura.settings import Settings

PORT = 8000


def main() -> None:
    """Serve on every interface: only the load balancer reaches a container."""
    app = create_app(Settings())
    tune_process()
    uvicorn.Server(server_config(app)).run(sockets=[socket.create_server(("", PORT), backlog=2048)])


if __name__ == "__main__":
    main()
