"""``obscura verdicts``: forget the moderation verdicts that are remembered."""

import asyncio

import typer

from obscura.cli.console import output
from obscura.settings import Settings
from obscura.stores.open import open_stores

app = typer.Typer(help="Forget the moderation verdicts that are remembered.", no_args_is_help=True)


@app.callback()
def verdicts() -> None:
    """Forget the moderation verdicts that are remembered."""


@app.command()
def clear() -> None:
    """Forget all verdicts, so that every image and text is moderated again."""
    output.print(f"Forgot {asyncio.run(_clear()):,} verdicts.")


async def _clear() -> int:
    async with open_stores(Settings()) as stores:
        return await stores.verdicts.clear()
