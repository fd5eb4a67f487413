"""The traces in docs/architecture.md, held to the code: each request is run, and its files are compared."""

import asyncio
import io
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image

from benchmarks.structure import files_run, relative_files
from obscura.api.app import create_app
from obscura.auth.api_keys import create_key
from obscura.aws.runtime.api import RuntimeApi
from obscura.aws.runtime.loop import run
from obscura.dialects.data_url import encode_data_url
from obscura.settings import Settings
from obscura.stores.open import open_stores
from tests.support.fake_upstream import CHUNKS, answers, streams
from tests.support.lambda_events import rest_event
from tests.support.loopback_server import loopback_server
from tests.support.runtime_api import runtime_api

REPOSITORY = Path(__file__).parents[2]
ARCHITECTURE = (REPOSITORY / "docs" / "architecture.md").read_text()


def documented(heading: str) -> set[str]:
    """The files in the first column of the tables below a heading."""
    section = ARCHITECTURE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return {f"{name}" for name in re.findall(r"^\| `([^`]+\.py)` \|", section, re.MULTILINE)}


def an_image() -> bytes:
    image = io.BytesIO()
    Image.linear_gradient("L").resize((1600, 1200)).convert("RGB").save(image, "JPEG")
    return image.getvalue()


def chat(image_url: dict[str, str], *, stream: bool = False) -> dict[str, object]:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": image_url}]
    return {"model": "m", "messages": [{"role": "user", "content": parts}], "stream": stream}


def short(files: set[str]) -> set[str]:
    return {name.removeprefix("gateway/obscura/").removeprefix("imaging/obscura/") for name in relative_files(files)}


async def a_key(settings: Settings) -> str:
    async with open_stores(settings) as stores:
        _, key = await create_key(stores.keys, "architecture")
    return key


async def test_a_chat_with_an_image_passes_through_the_documented_files(tmp_path: Path) -> None:
    async with loopback_server(answers()) as upstream:
        settings = Settings(data_dir=tmp_path, upstream_url=upstream.v1, moderation="demo")
        headers = {"authorization": f"Bearer {await a_key(settings)}"}
        app = create_app(settings)
        body = chat({"url": encode_data_url(an_image(), "image/jpeg").decode()})
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://obscura", headers=headers)
        async with app.router.lifespan_context(app), client:
            (await client.post("/v1/chat/completions", json=body)).raise_for_status()
            with files_run() as files:
                (await client.post("/v1/chat/completions", json=body)).raise_for_status()

    assert short(files) == documented("A chat with an image")


async def test_a_stored_file_by_id_passes_through_the_documented_files(tmp_path: Path) -> None:
    async with loopback_server(answers()) as upstream:
        settings = Settings(data_dir=tmp_path, upstream_url=upstream.v1, moderation="demo")
        headers = {"authorization": f"Bearer {await a_key(settings)}"}
        app = create_app(settings)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://obscura", headers=headers)
        async with app.router.lifespan_context(app), client:
            stored = await client.post("/v1/files", files={"file": ("a.jpg", an_image())}, data={"purpose": "vision"})
            body = chat({"file_id": stored.json()["id"]})
            (await client.post("/v1/chat/completions", json=body)).raise_for_status()
            with files_run() as files:
                (await client.post("/v1/chat/completions", json=body)).raise_for_status()

    assert short(files) == documented("A stored file by its id")


async def test_a_stream_on_lambda_passes_through_the_documented_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loopback_server(streams(*CHUNKS)) as upstream, runtime_api() as api:
        key = await a_key(Settings(data_dir=tmp_path))
        for name, value in {
            "LAMBDA_TASK_ROOT": str(REPOSITORY / "functions" / "chat"),
            "OBSCURA_DATA_DIR": str(tmp_path),
            "OBSCURA_UPSTREAM_URL": upstream.v1,
            "OBSCURA_MODERATION": "demo",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.syspath_prepend(str(REPOSITORY / "functions" / "chat"))
        body = chat({"url": encode_data_url(an_image(), "image/jpeg").decode()}, stream=True)
        event = rest_event("POST", "/v1/chat/completions", body, authorization=f"Bearer {key}")
        serving = asyncio.create_task(run(RuntimeApi(api.address), "app.handler"))
        try:
            await api.invoke(event).body()
            await api.idle()
            with files_run() as files:
                await api.invoke(event).body()
                await api.idle()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    assert short(files) == documented("A stream on Lambda")
