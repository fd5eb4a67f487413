"""``python -m obscura.cli.container``: the gateway in a container, with the keys that there are and none of its own."""

import socket

import uvicorn

from obscura.cli.serve import server_config, tune_process
from obscura.config import Settings
from obscura.web.app import build_app

PORT = 8000


def main() -> None:
    """Serve on every interface: only the load balancer reaches a container."""
    app = build_app(Settings())
    tune_process()
    uvicorn.Server(server_config(app)).run(sockets=[socket.create_server(("", PORT), backlog=2048)])


if __name__ == "__main__":
    main()
