"""``obscura keys``: create, list and revoke API keys."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from obscura.adapters.sqlite import SqliteKeys, open_database
from obscura.cli.issuing import issue_key
from obscura.cli.terminal import aside, output, say_error, table
from obscura.config import Settings
from obscura.ports import ApiKey

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    project: Annotated[str, typer.Option(help="The project that the key is bound to.")],
    zero_retention: Annotated[
        bool, typer.Option("--zero-retention", help="Keep nothing of this key's requests.")
    ] = False,
) -> None:
    """Create a key and print it, last and alone on its line: it cannot be shown again."""
    with _keys() as keys:
        key, secret = asyncio.run(issue_key(keys, project, zero_retention=zero_retention))
    aside.print(f"Created {key.id} for project {escape(project)}. Keep the key: it cannot be shown again.")
    typer.echo(secret)


@app.command("list")
def list_keys() -> None:
    """List all keys, revoked ones included."""
    listed = table("ID", "Project", "Retention", "Created (UTC)", "Revoked (UTC)", folding="Project")
    with _keys() as keys:
        for key in asyncio.run(_all(keys)):
            listed.add_row(
                key.id,
                escape(key.project),
                "zero" if key.zero_retention else "",
                _minute(key.created_at),
                _minute(key.revoked_at) if key.revoked_at else "",
            )
    output.print(listed if listed.row_count else "No keys yet: obscura keys create --project NAME")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The id that 'obscura keys list' shows.")]) -> None:
    """Revoke a key at once."""
    with _keys() as keys:
        revoked = asyncio.run(keys.revoke(key_id, datetime.now(UTC)))
    if not revoked:
        say_error(f"There is no live key {key_id}. See 'obscura keys list'.")
        raise typer.Exit(1)
    output.print(f"Revoked {escape(key_id)}.")


@contextmanager
def _keys() -> Iterator[SqliteKeys]:
    with closing(open_database(Settings().data_dir)) as database:
        yield SqliteKeys(database)


async def _all(keys: SqliteKeys) -> list[ApiKey]:
    return list(await keys.all())


def _minute(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
