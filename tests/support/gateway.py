"""The gateway, really served: in the test's own loop over a socket, with a key."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import uvicorn

from obscura.api.app import create_app
from obscura.auth.api_keys import create_key
from obscura.cli.serve import server_config
from obscura.clock import Clock
from obscura.moderation.base import VerdictCache
from obscura.settings import Settings
from obscura.stores.open import Stores, local_stores, open_stores
from obscura.stores.sqlite.database import Database, open_database


@dataclass
class Gateway:
    url: str
    key: str
    client: httpx.AsyncClient
    stores: Stores | None
    data_dir: Path
    database: Database

    async def headers_of(self, project: str, **flags: Any) -> dict[str, str]:
        """Make another key, and give the headers of its holder."""
        _, secret = await create_key(self.stores.keys, project, **flags)
        return {"authorization": f"Bearer {secret}"}

    async def chat(self, body: object, **more: Any) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json=body, **more)


class PromptServer(uvicorn.Server):
    """uvicorn's server without the two tenths of a second that it takes to end, of which the suite would wait minutes.

    How ``obscura serve`` itself ends is tested on its own process.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.over = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve until ``over``."""
        await self.on_tick(0)
        await self.over.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close, and give requests under way a second."""
        for accepting in self.servers:
            accepting.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            _, late = await asyncio.wait(self.server_state.tasks, timeout=1)
            for task in late:
                task.cancel()
        await self.lifespan.shutdown()


@asynccontextmanager
async def running_gateway(
    clock: Clock | None = None,
    folder: Path | None = None,
    verdicts: VerdictCache | None = None,
    stores: Stores | None = None,
    keep_alive_s: float | None = None,
    **settings: Any,
) -> AsyncIterator[Gateway]:
    """Serve with these settings (``upstream_url`` and so on).

    Unless set otherwise, moderation is off, no rate limit is reached, and the stores are in memory, or below
    ``folder``, or with ``table`` in DynamoDB; ``verdicts`` take the place of the store's, ``stores`` that of all.
    ``keep_alive_s`` replaces the silence after which a stream gets a comment.
    """
    spare = TemporaryDirectory(prefix="obscura-tests-")
    data_dir = folder or Path(spare.name)
    defaults: dict[str, Any] = {"moderation": "off", "key_requests_per_minute": 1_000_000, "data_dir": data_dir}
    given = Settings(**(defaults | settings))
    database = open_database(folder)
    stores = stores or (
        None if given.table else local_stores(database, given.data_dir, settings.get("disk_reserve_mb", 0))
    )
    if stores and verdicts:
        stores = replace(stores, verdicts=verdicts)
    secret = await _issued_key(stores, given)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(given, stores, clock)
    if keep_alive_s is not None:
        app.state.keep_alive_s = keep_alive_s
    config = server_config(app, given.max_connections)
    server = PromptServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    headers = {"authorization": f"Bearer {secret}"}
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            async with asyncio.timeout(10):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield Gateway(url, secret, client, stores, given.data_dir, database)
    finally:
        server.over.set()
        await serving
        database.close()
        spare.cleanup()


async def _issued_key(stores: Stores | None, settings: Settings) -> str:
    if stores is None:
        async with open_stores(settings) as opened:
            return await _issued_key(opened, settings)
    _, secret = await create_key(stores.keys, "tests")
    return secret


def chat_request(*parts: object, **fields: Any) -> dict:
    """A chat request with one user message of these parts, or of one text."""
    content = parts[0] if len(parts) == 1 and isinstance(parts[0], str) else list(parts)
    return {"model": "m", "messages": [{"role": "user", "content": content}]} | fields


def text(words: str) -> dict:
    return {"type": "text", "text": words}


def image_part(url: str, **fields: Any) -> dict:
    return {"type": "image_url", "image_url": {"url": url, **fields}}
