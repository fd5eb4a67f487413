"""No body holds the event loop: items are counted before anything is parsed, and large bodies are parsed elsewhere."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from obscura.api.app import create_app
from obscura.auth.api_keys import create_key
from obscura.dialects.chat.request import ChatDialect, ChatRequest
from obscura.dialects.json.prescan import MAX_DEPTH, MAX_ITEMS, MAX_VALUES, extract_long_strings
from obscura.dialects.json.raw import RawJson
from obscura.errors import InvalidJson, TooManyItems
from obscura.pipeline.read_body import OFF_LOOP_VALUES
from obscura.settings import Settings
from obscura.stores.open import local_stores
from obscura.stores.sqlite.database import open_database
from tests.support.heavy_bodies import PATHS, body_of, heavy_bodies, repeated, with_text
from tests.support.loop_watch import watched_loop

REFUSED = ("turns", "parts of one turn", "tools")
TURN = '{"role":"user","content":"a"}'
MAX_CALLBACK_MS = 15.0
"""Three times the aim: other tests share the machine's caches. Before, the bodies below took 28 to 2,400 ms."""


@asynccontextmanager
async def client_of(folder: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The application in this process, on the demo model, and a client with a key."""
    database = open_database(None)
    stores = local_stores(database, folder)
    _, secret = await create_key(stores.keys, "tests")
    app = create_app(Settings(data_dir=folder, key_requests_per_minute=10_000, **settings), stores)
    headers = {"authorization": f"Bearer {secret}"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers, timeout=60) as client,
    ):
        yield client
    database.close()


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("dialect", PATHS)
async def test_too_many_small_things_are_refused_by_name(client: httpx.AsyncClient, dialect: str) -> None:
    bodies = dict(heavy_bodies(dialect))
    for name in REFUSED:
        response = await client.post(PATHS[dialect], content=bodies[name]())

        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "too_many_items"), name
        assert "10,000" in error["message"]
        assert "OBSCURA_MAX_ITEMS" in error["message"]


async def test_exactly_the_limit_of_items_is_taken(tmp_path: Path) -> None:
    async with client_of(tmp_path, max_items=30) as client:
        for turns, status in ((30, 200), (31, 400)):
            body = body_of("chat", turns=",".join([TURN] * turns))
            assert (await client.post(PATHS["chat"], content=body)).status_code == status
        for turns, status in ((15, 200), (16, 400)):
            part = TURN.replace('"a"', '[{"type":"text","text":"a"}]')
            body = body_of("chat", turns=",".join([part] * turns))
            assert (await client.post(PATHS["chat"], content=body)).status_code == status


@dataclass
class Parsing:
    """The threads in which chat requests were parsed, and rendered."""

    parsed: list[str]
    rendered: list[str]


@pytest.fixture
def parsing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parsing]:
    seen = Parsing([], [])
    parse, render = ChatDialect.parse, ChatRequest.to_upstream

    def watched_parse(self: ChatDialect, *arguments: Any) -> ChatRequest:
        seen.parsed.append(threading.current_thread().name)
        return parse(self, *arguments)

    def watched_render(self: ChatRequest, *arguments: Any) -> Any:
        seen.rendered.append(threading.current_thread().name)
        return render(self, *arguments)

    monkeypatch.setattr(ChatDialect, "parse", watched_parse)
    monkeypatch.setattr(ChatRequest, "to_upstream", watched_render)
    yield seen


@pytest.mark.parametrize(
    "body",
    [with_text("chat", "word " * 4_000), body_of("chat", turns=",".join([TURN] * OFF_LOOP_VALUES))],
    ids=["bytes", "values"],
)
async def test_a_large_body_is_read_and_written_off_the_loop(
    client: httpx.AsyncClient, parsing: Parsing, body: bytes
) -> None:
    small = await client.post(PATHS["chat"], content=body_of("chat"))
    large = await client.post(PATHS["chat"], content=body)

    assert (small.status_code, large.status_code) == (200, 200)
    here = threading.current_thread().name
    for threads in (parsing.parsed, parsing.rendered):
        assert threads[0] == here
        assert threads[1].startswith("body")


@pytest.mark.parametrize("dialect", PATHS)
async def test_no_callback_of_the_loop_grows_with_the_body(client: httpx.AsyncClient, dialect: str) -> None:
    bodies = dict(heavy_bodies(dialect))
    await client.post(PATHS[dialect], content=bodies["800 turns"]())
    async with watched_loop() as watch:
        for name in ("turns", "a schema at the limit", "800 turns", "an unknown text of 120 KB", "a text of 60 KB"):
            watch.reset()
            await client.post(PATHS[dialect], content=bodies[name]())

            assert watch.callback_ms < MAX_CALLBACK_MS, f"{name}: {watch.slowest}"


def test_brackets_without_end_are_counted_and_not_walked() -> None:
    level = "[" * (MAX_DEPTH - 8) + "]" * (MAX_DEPTH - 8)
    body = f'{{"a":{{"x":[{repeated(level, 1_000_000)}]}}}}'.encode()

    with pytest.raises(InvalidJson, match=f"{MAX_VALUES:,} values"):
        extract_long_strings(body)


def test_braces_in_strings_are_no_items() -> None:
    texts = ",".join([json.dumps({"role": "user", "content": '[{"[,{},{}' * 50})] * 100)

    assert "messages" in RawJson(body_of("chat", turns=texts), max_items=100).root
    with pytest.raises(TooManyItems):
        RawJson(body_of("chat", turns=texts), max_items=99)


def test_what_stands_in_a_field_of_a_field_is_no_item() -> None:
    tool = {"type": "function", "function": {"name": "a", "parameters": {"enum": ["a"] * (MAX_ITEMS + 1)}}}

    assert "tools" in RawJson(body_of("chat", more=f',"tools":[{json.dumps(tool)}]')).root
