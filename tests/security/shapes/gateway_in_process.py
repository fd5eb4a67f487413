"""The gateway as it is, called in this process: its application, with doubles of the two servers that it calls.

The doubles stand at the transport, so they see the very bytes that would go over the network.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from fastapi import FastAPI

from obscura.api.app import create_app
from obscura.auth.api_keys import create_key
from obscura.moderation.openai import OpenAIModerator
from obscura.settings import Settings
from obscura.stores.open import local_stores
from obscura.stores.sqlite.database import open_database
from obscura.upstreams.catalog import SingleUpstreamCatalog
from obscura.upstreams.http import HttpUpstream
from obscura.upstreams.registry import load_kind
from tests.security.shapes.media import decoded_data_url
from tests.support.fake_upstream import ANSWER, CHUNKS, verdict

PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


@dataclass(frozen=True, slots=True)
class Lane:
    """A caller dialect before an upstream that speaks it, or one that speaks chat only."""

    dialect: str
    native: bool

    @property
    def name(self) -> str:
        """Its name in reports."""
        return f"{self.dialect} {'native' if self.native else 'translated'}"

    @property
    def upstream_dialect(self) -> str:
        """What the upstream speaks."""
        return self.dialect if self.native else "chat"


LANES = (
    Lane("chat", True),
    Lane("responses", True),
    Lane("responses", False),
    Lane("messages", True),
    Lane("messages", False),
)


@dataclass(slots=True)
class Seen:
    """What the doubles saw of one request: texts and images at the moderation, bodies at the upstream."""

    texts: list[str] = field(default_factory=list)
    images: set[bytes] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one request, and what the doubles saw of it."""

    status: int
    headers: dict[str, str]
    body: bytes
    seen: Seen

    @property
    def code(self) -> str:
        """The code of an error, or the status."""
        try:
            return str(json.loads(self.body)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return str(self.status)

    @property
    def unmoderated(self) -> frozenset[str]:
        """The kinds of media that the answer says were not moderated."""
        return frozenset(filter(None, self.headers.get("x-unmoderated", "").replace(" ", "").split(",")))


class Doubles(httpx.AsyncBaseTransport):
    """Moderation, which finds everything clean, and the upstream; ``seen`` is of the request under way."""

    def __init__(self) -> None:
        self.seen = Seen()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record a request, and answer it."""
        if request.url.path.endswith("/moderations"):
            record_moderation(self.seen, request.content)
            return _json(verdict())
        self.seen.bodies.append(request.content)
        return upstream_response(request.url.path, request.content)


def record_moderation(seen: Seen, body: bytes) -> None:
    """Add what one moderation call reviews: a plain string, or a list of texts and images."""
    reviewed = json.loads(body)["input"]
    for item in [reviewed] if isinstance(reviewed, str) else reviewed:
        if isinstance(item, str):
            seen.texts.append(item)
        elif item["type"] == "text":
            seen.texts.append(item["text"])
        else:
            image = decoded_data_url(item["image_url"]["url"])
            assert image is not None
            seen.images.add(image)


MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "A cat."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 2},
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [],
    "usage": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12},
}


def upstream_response(path: str, body: bytes) -> httpx.Response:
    """Return a whole response of the path's dialect; for a chat request that asks for a stream, a stream."""
    if b'"stream":true' in body.replace(b" ", b"") and path.endswith("/completions"):
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(CHUNKS))
    if path.endswith("/messages"):
        return _json(MESSAGE)
    return _json(RESPONSE if path.endswith("/responses") else ANSWER)


def _json(value: object) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "application/json"}, content=json.dumps(value).encode())


class GatewayInProcess:
    """One lane of the gateway; one request at a time, so that what the doubles see is that request's."""

    def __init__(self, app: FastAPI, key: str, doubles: Doubles, lane: Lane) -> None:
        self.lane = lane
        self._app = app
        self._doubles = doubles
        self._key = key

    async def send(self, body: bytes) -> Outcome:
        """Send a request in the lane's dialect."""
        return await self.post(PATHS[self.lane.dialect], body, "application/json")

    async def post(self, path: str, body: bytes, content_type: str) -> Outcome:
        """Send any request."""
        self._doubles.seen = seen = Seen()
        answer: list[Any] = []
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            return next(parts, None) or await asyncio.Event().wait()

        async def send(message: Any) -> None:
            answer.append(message)

        await self._app(_scope(path, body, content_type, self._key), receive, send)
        headers = {name.decode().lower(): value.decode() for name, value in answer[0]["headers"]}
        content = b"".join(message.get("body", b"") for message in answer[1:])
        return Outcome(answer[0]["status"], headers, content, seen)


def _scope(path: str, body: bytes, content_type: str, key: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {key}", "content-type": content_type, "content-length": str(len(body))}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 80),
    }


@asynccontextmanager
async def gateway_in_process(lane: Lane, **settings: Any) -> AsyncIterator[GatewayInProcess]:
    """Open the gateway of a lane, with a key; verdicts are not cached, so that each request shows all its own."""
    with TemporaryDirectory(prefix="obscura-shapes-") as folder:
        defaults: dict[str, Any] = {
            "upstream_url": "http://upstream.test/v1",
            "moderation_url": "http://moderation.test/v1",
            "key_requests_per_minute": 1_000_000_000,
            "cache_verdicts": False,
            "upstream_state": "allow",
            "log_level": "ERROR",
            "data_dir": Path(folder),
        }
        given = Settings(**(defaults | settings))
        database = open_database(None)
        stores = local_stores(database, given.data_dir)
        _, key = await create_key(stores.keys, "shapes")
        app = create_app(given, stores)
        doubles = Doubles()
        try:
            async with app.router.lifespan_context(app):
                app.state.services = replace(
                    app.state.services,
                    moderator=OpenAIModerator(doubles, given.moderation_url, None),
                    catalog=_catalog(lane, doubles, str(given.upstream_url)),
                    verdicts=None,
                )
                yield GatewayInProcess(app, key, doubles, lane)
        finally:
            database.close()


def _catalog(lane: Lane, doubles: Doubles, url: str) -> SingleUpstreamCatalog:
    kind = load_kind("anthropic" if lane.upstream_dialect == "messages" else "openai")
    return SingleUpstreamCatalog(HttpUpstream(doubles, url, kind(None)), frozenset({"chat", lane.upstream_dialect}))
