"""``obscura serve``: the gateway on this machine."""

import asyncio
import socket
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
import uvicorn
from starlette.types import ASGIApp

from obscura.api.app import create_app
from obscura.api.process import tune_malloc
from obscura.auth.api_keys import create_key
from obscura.auth.base import ApiKey
from obscura.bootstrap import process_memory_bytes
from obscura.cli.connections import ConnectionLimit, default_max_connections
from obscura.cli.console import print_error
from obscura.cli.http_protocol import HttpProtocol
from obscura.cli.sample_request import sample_curl, sample_model
from obscura.settings import PREFIX, Settings
from obscura.stores.open import create_tables_on_emulator, open_stores
from obscura.telemetry.port import metrics_port

SWITCH_INTERVAL_S = 0.001
IDLE_CONNECTION_S = 75
SHUTDOWN_TIMEOUT_S = 10


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 8000,
) -> None:
    """Serve the gateway, with a fresh key that lives as long as the server, and a curl line to try."""
    settings = Settings()
    app = create_app(settings)
    try:
        listener = _listen(host, port)
    except OSError as error:
        print_error(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port.")
        raise typer.Exit(1) from None
    tune_process(process_memory_bytes(settings))
    key, secret = asyncio.run(_create_key(settings))
    try:
        server = _AnnouncingServer(
            server_config(app, max_connections(settings), settings.idle_connection_s),
            _welcome(settings, listener, secret),
        )
        with metrics_port(settings, app.state.telemetry and app.state.telemetry.shared):
            server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        asyncio.run(_revoke_key(settings, key))


async def _create_key(settings: Settings) -> tuple[ApiKey, str]:
    await create_tables_on_emulator(settings)
    async with open_stores(settings) as stores:
        if settings.table is None:
            await stores.address_secret.read()  # now, and not when the disk may be full
        return await create_key(stores.keys, "local-serve")


async def _revoke_key(settings: Settings, key: ApiKey) -> None:
    async with open_stores(settings) as stores:
        await stores.keys.revoke(key.id, datetime.now(UTC))


def tune_process(usable_bytes: int | None = None) -> None:
    """Tune the process: its allocator, by its memory, and how soon a thread releases the interpreter's lock."""
    tune_malloc(usable_bytes)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def max_connections(settings: Settings) -> int:
    """Return the number of connections that are open at once: as it is set, or by memory and open files."""
    return settings.max_connections or default_max_connections(process_memory_bytes(settings))


def server_config(
    app: ASGIApp, max_connections: int | None = None, idle_connection_s: int = IDLE_CONNECTION_S
) -> uvicorn.Config:
    """Return uvicorn's settings: the fast parser, no log of its own, no header trusted for the client's address."""
    limit = ConnectionLimit(max_connections)
    return uvicorn.Config(
        app,
        http=type("LimitedHttpProtocol", (HttpProtocol,), {"connection_limit": limit}),
        ws="none",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=idle_connection_s,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
    )


class _AnnouncingServer(uvicorn.Server):
    """Prints the welcome once it accepts requests."""

    def __init__(self, config: uvicorn.Config, welcome: str) -> None:
        super().__init__(config)
        self._welcome = welcome

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(self._welcome)
            sys.stdout.flush()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def _welcome(settings: Settings, listener: socket.socket, secret: str) -> str:
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    model = sample_model(settings)
    invitation = "Try it" if model else "Try it, with a model of your upstream's for MODEL"
    return (
        f"\nObscura serves on {url}\n"
        f"  upstream    {_upstream(settings)}\n"
        f"  moderation  {_moderation(settings)}\n"
        f"  data        {_data_location(settings)}\n"
        f"\nA key for as long as this server runs:\n\n  {secret}\n"
        f"\n{invitation}:\n\n{sample_curl(url, secret, model or 'MODEL')}\n\n"
    )


def _upstream(settings: Settings) -> str:
    if settings.models is not None:
        return f"the upstreams of {settings.models}"
    return settings.upstream_url or "the built-in demo model"


def _moderation(settings: Settings) -> str:
    if settings.moderation_lacks_key:
        return f"openai, without a key: every request will get a 503; set {PREFIX}MODERATION_KEY, or another moderation"
    return settings.effective_moderation


def _data_location(settings: Settings) -> str:
    return f"{settings.data_dir}" if settings.table is None else f"DynamoDB, tables {settings.table}-…"
