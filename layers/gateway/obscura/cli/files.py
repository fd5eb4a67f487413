"""``obscura files``: list and remove stored files, of any project."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from obscura.cli.console import output, print_error, table
from obscura.files.base import StoredFile
from obscura.files.service import expire_and_delete
from obscura.settings import Settings
from obscura.stores.open import open_stores

app = typer.Typer(help="List and remove stored files.", no_args_is_help=True)


@app.command("list")
def list_files(
    project: Annotated[str | None, typer.Option(help="Only this project's files.")] = None,
) -> None:
    """List the files of all projects, oldest first."""
    rows = table("ID", "Project", "KiB", "Expires (UTC)", folding=["Project"])
    for file in asyncio.run(_live()):
        if project in {None, file.project}:
            expires_at = file.expires_at.strftime("%Y-%m-%d %H:%M")
            rows.add_row(file.id, escape(file.project), f"{file.size_bytes / 1024:,.0f}", expires_at)
    output.print(rows if rows.row_count else "No files are stored.")


@app.command("rm")
def remove(
    file_ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids that 'obscura files list' shows.")],
) -> None:
    """Delete files and everything derived from them, at once."""
    missing = asyncio.run(_remove(set(file_ids)))
    for file_id in sorted(missing):
        print_error(f"There is no file {file_id}. See 'obscura files list'.")
    if missing:
        raise typer.Exit(1)


async def _live() -> list[StoredFile]:
    async with open_stores(Settings()) as stores:
        now = datetime.now(UTC)
        return [file for file in await stores.storage.files.list_all() if file.expires_at > now]


async def _remove(file_ids: set[str]) -> set[str]:
    """Delete these files and return the ids that do not exist."""
    async with open_stores(Settings()) as stores:
        for file in await stores.storage.files.list_all():
            if file.id in file_ids:
                await expire_and_delete(file, stores.storage, datetime.now(UTC))
                file_ids.discard(file.id)
                output.print(f"Deleted {file.id}.")
    return file_ids
