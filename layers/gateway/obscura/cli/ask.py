"""Photographs named on the command line."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import httpx
import typer

from obscura.api.app import create_app
from obscura.auth.api_keys import create_key
from obscura.bootstrap import validate_settings
from obscura.cli.errors import aside, say_error
from obscura.cli.serve import sample_model
from obscura.dialects.data_url import encode_data_url
from obscura.settings import Settings
from obscura.stores.open import local_stores
from obscura.stores.sqlite.database import open_database


def read_image(path: Path) -> bytes:
    """Read a file, or say what is wrong with it and end the command with status 1."""
    try:
        return path.read_bytes()
    except OSError as failure:
        say_error(f"Cannot read {path}: {failure.strerror}.")
        raise typer.Exit(1) from None


RESPONSE_TIMEOUT_S = 300


class DetailOption(StrEnum):
    """How large the model sees the photograph."""

    low = "low"
    auto = "auto"
    high = "high"


def ask(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A PNG, JPEG, WEBP or GIF.")],
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="What to ask about it.")
    ] = "What is in this image?",
    model: Annotated[
        str | None, typer.Option(help="The model to ask; the demo or the catalogue has one where none is named.")
    ] = None,
    detail: Annotated[DetailOption, typer.Option(help="How large the model sees it.")] = DetailOption.auto,
) -> None:
    """Ask about a photograph, with the settings of this environment."""
    settings = Settings(log_level="ERROR")
    validate_settings(settings)
    model = model or sample_model(settings)
    if model is None:
        say_error("Which model? Name one of your upstream's with --model.")
        raise typer.Exit(2)
    content = [
        {"type": "text", "text": question},
        {"type": "image_url", "image_url": {"url": _data_url(photo), "detail": detail.value}},
    ]
    body = {"model": model, "messages": [{"role": "user", "content": content}]}
    with aside.status(f"Asking {model} …"):
        answered = asyncio.run(_ask(body, settings))
    said = answered.json()
    if answered.status_code != 200:
        say_error(f"{said['error']['message']} ({said['error']['code']})")
        raise typer.Exit(1)
    typer.echo(said["choices"][0]["message"]["content"])
    tokens = answered.headers.get("x-image-tokens")
    aside.print(f"[dim]{tokens} image tokens · {answered.headers['x-request-id']}[/dim]")


def _data_url(photo: Path) -> str:
    return encode_data_url(read_image(photo), "application/octet-stream").decode()


async def _ask(body: Mapping[str, object], settings: Settings) -> httpx.Response:
    """Send one request to an application inside this process, with a key that ends with it."""
    with closing(open_database(None)) as memory:
        stores = local_stores(memory, settings.data_dir)
        _, secret = await create_key(stores.keys, "local-ask")
        app = create_app(settings, stores)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://obscura", timeout=RESPONSE_TIMEOUT_S
            ) as client,
        ):
            headers = {"authorization": f"Bearer {secret}"}
            return await client.post("/v1/chat/completions", json=body, headers=headers)
