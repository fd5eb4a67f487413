"""The gateway, really served: in the test's own loop over a socket, with a key."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import uvicorn

from obscura.adapters.sqlite import SqliteKeys, open_database
from obscura.cli.issuing import issue_key
from obscura.config import Settings
from obscura.ports import Keys
from obscura.web.app import build_app


@dataclass
class Served:
    url: str
    key: str
    client: httpx.AsyncClient
    keys: Keys
    data_dir: Path

    async def headers_of(self, project: str, **flags: bool) -> dict[str, str]:
        """Make another key, and give the headers of its holder."""
        _, secret = await issue_key(self.keys, project, **flags)
        return {"authorization": f"Bearer {secret}"}

    async def chat(self, body: object, **more: object) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json=body, **more)


@asynccontextmanager
async def served(**settings: object) -> AsyncIterator[Served]:
    """Serve with these settings (``upstream_url`` and so on); moderation is off unless it is asked for."""
    folder = TemporaryDirectory(prefix="obscura-tests-")
    given = {"moderation": "off", "data_dir": Path(folder.name)} | settings
    database = open_database(None)
    keys = SqliteKeys(database)
    _, secret = await issue_key(keys, "tests")
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        build_app(Settings(**given), keys),
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    headers = {"authorization": f"Bearer {secret}"}
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            async with asyncio.timeout(10):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield Served(url, secret, client, keys, Path(given["data_dir"]))
    finally:
        server.should_exit = True
        await serving
        database.close()
        folder.cleanup()


def ask(*parts: object, **fields: object) -> dict:
    """A chat request with one user message of these parts, or of one text."""
    content = parts[0] if len(parts) == 1 and isinstance(parts[0], str) else list(parts)
    return {"model": "m", "messages": [{"role": "user", "content": content}]} | fields


def text(words: str) -> dict:
    return {"type": "text", "text": words}


def image(url: str, **fields: object) -> dict:
    return {"type": "image_url", "image_url": {"url": url, **fields}}
