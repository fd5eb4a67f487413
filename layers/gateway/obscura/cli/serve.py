"""``obscura serve``: the gateway on this machine."""

import asyncio
import socket
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn
from starlette.types import ASGIApp

from obscura.api.process import tune_malloc
from obscura.auth.api_keys import create_key
from obscura.auth.base import ApiKey
from obscura.bootstrap import process_memory_bytes, validate_settings
from obscura.cli.connections import ConnectionLimit, default_max_connections
from obscura.cli.console import print_error
from obscura.cli.http_protocol import HttpProtocol
from obscura.cli.sample_request import sample_curl, sample_model
from obscura.cli.supervisor import Supervisor, set_workers
from obscura.settings import PREFIX, Settings
from obscura.stores.open import create_tables_on_emulator, open_stores
from obscura.telemetry.port import metrics_port

if TYPE_CHECKING:
    from fastapi import FastAPI

SWITCH_INTERVAL_S = 0.001
IDLE_CONNECTION_S = 75
SHUTDOWN_TIMEOUT_S = 10
KILL_MARGIN_S = 5
"""A worker that takes this much longer to end is killed."""


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 8000,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the port, the store and the memory.", min=1, max=64)
    ] = None,
) -> None:
    """Serve the gateway, with a fresh key that lives as long as the server, and a curl line to try."""
    if workers is not None:
        set_workers(workers)
    settings = Settings()
    count = settings.workers or 1
    app = _open_app(settings) if count == 1 else None
    validate_settings(settings)
    try:
        listener = _listen(host, port)
    except OSError as error:
        print_error(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port.")
        raise typer.Exit(1) from None
    tune_process(process_memory_bytes(settings))
    key, secret = asyncio.run(_create_key(settings))
    status = 0
    try:
        welcome = _welcome(settings, listener, secret)
        if app is None:
            supervisor = Supervisor(count, listener, end_timeout_s=SHUTDOWN_TIMEOUT_S + KILL_MARGIN_S)
            with metrics_port(settings, None):
                status = asyncio.run(supervisor.run(lambda: _announce(welcome)))
        else:
            server = _AnnouncingServer(
                server_config(app, max_connections(settings), settings.idle_connection_s), welcome
            )
            with metrics_port(settings, app.state.telemetry and app.state.telemetry.shared):
                server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        asyncio.run(_revoke_key(settings, key))
    if status:
        raise typer.Exit(status)


def _open_app(settings: Settings) -> "FastAPI":
    from obscura.api.app import create_app  # only now: a supervisor has no use for it

    return create_app(settings)


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
    """Return the connections that this process may have open: its share of what is set, or by memory and open files."""
    if settings.max_connections is not None:
        return max(1, settings.max_connections // (settings.workers or 1))
    return default_max_connections(process_memory_bytes(settings))


def server_config(
    app: ASGIApp, max_connections: int | None = None, idle_connection_s: int = IDLE_CONNECTION_S
) -> uvicorn.Config:
    """Return uvicorn's settings: the fast parser, no log of its own, no header trusted for the client's address."""
    from obscura.api.app import GatewayApp

    limit = ConnectionLimit(max_connections)
    cross_origin = app.cross_origin if isinstance(app, GatewayApp) else None
    return uvicorn.Config(
        app,
        http=type("LimitedHttpProtocol", (HttpProtocol,), {"connection_limit": limit, "cross_origin": cross_origin}),
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
            _announce(self._welcome)


def _announce(welcome: str) -> None:
    sys.stdout.write(welcome)
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
        f"{_workers(settings)}"
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


def _workers(settings: Settings) -> str:
    return f"  workers     {settings.workers}\n" if (settings.workers or 1) > 1 else ""


def _data_location(settings: Settings) -> str:
    return f"{settings.data_dir}" if settings.table is None else f"DynamoDB, tables {settings.table}-…"
