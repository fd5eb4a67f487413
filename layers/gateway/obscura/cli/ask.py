"""``obscura ask``: one question about an image file, through the application in this process."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated

import httpx
import typer

from obscura.api.app import create_app
from obscura.auth.api_keys import create_key
from obscura.bootstrap import validate_settings
from obscura.cli.console import messages, print_error
from obscura.cli.image_file import DetailOption, read_image
from obscura.cli.sample_request import sample_model
from obscura.dialects.data_url import encode_data_url
from obscura.imaging import SUPPORTED_FORMATS
from obscura.settings import Settings
from obscura.stores.open import local_stores
from obscura.stores.sqlite.database import open_database

RESPONSE_TIMEOUT_S = 300


def ask(
    path: Annotated[Path, typer.Argument(metavar="PHOTO", help=f"A file: {SUPPORTED_FORMATS}.")],
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="What to ask about it.")
    ] = "What is in this image?",
    model: Annotated[
        str | None, typer.Option(help="The model to ask; by default the demo's or the catalogue's first.")
    ] = None,
    detail: Annotated[DetailOption, typer.Option(help="How large the model sees it.")] = DetailOption.auto,
) -> None:
    """Ask about a photograph, with the settings of this environment."""
    settings = Settings(log_level="ERROR")
    validate_settings(settings)
    model = model or sample_model(settings)
    if model is None:
        print_error("Which model? Name one of your upstream's with --model.")
        raise typer.Exit(2)
    url = encode_data_url(read_image(path), "application/octet-stream").decode()
    content = [
        {"type": "text", "text": question},
        {"type": "image_url", "image_url": {"url": url, "detail": detail.value}},
    ]
    request = {"model": model, "messages": [{"role": "user", "content": content}]}
    with messages.status(f"Asking {model} …"):
        response = asyncio.run(_send(request, settings))
    body = response.json()
    if response.status_code != 200:
        print_error(f"{body['error']['message']} ({body['error']['code']})")
        raise typer.Exit(1)
    typer.echo(body["choices"][0]["message"]["content"])
    tokens = response.headers.get("x-image-tokens")
    messages.print(f"[dim]{tokens} image tokens · {response.headers['x-request-id']}[/dim]")


async def _send(request: Mapping[str, object], settings: Settings) -> httpx.Response:
    """Send one request to an application in this process, with a key that is kept in memory only."""
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
            return await client.post("/v1/chat/completions", json=request, headers=headers)
