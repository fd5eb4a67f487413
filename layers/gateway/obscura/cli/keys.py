"""``obscura keys``: create, list and revoke API keys."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from obscura.auth.api_keys import create_key
from obscura.auth.base import ApiKey, KeyScope
from obscura.auth.sharded_rates import MAX_SHARDS
from obscura.cli.console import messages, output, print_error, table
from obscura.settings import Settings
from obscura.stores.open import MIB, open_stores
from obscura.usage.base import MICRO, Budget, parse_budgets

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


@app.command()
def create(  # noqa: PLR0913, PLR0917 the options of the command
    project: Annotated[str, typer.Option(metavar="NAME", help="The project that the key is bound to.")],
    zero_retention: Annotated[
        bool, typer.Option("--zero-retention", help="Keep nothing of this key's requests.")
    ] = False,
    scope: Annotated[
        list[KeyScope] | None,
        typer.Option(help="An endpoint family it may call; repeatable. Default: all but admin."),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(help="The key's own limit, in place of the deployment's.", min=1)
    ] = None,
    max_storage_mb: Annotated[
        int | None, typer.Option(help="MiB that its project may have stored, in place of the deployment's.", min=0)
    ] = None,
    max_files: Annotated[
        int | None, typer.Option(help="Files that its project may have stored, in place of the deployment's.", min=0)
    ] = None,
    shards: Annotated[
        int,
        typer.Option(
            help="Counters of the key's requests: one for each 500 requests a second.",
            min=1,
            max=MAX_SHARDS,
        ),
    ] = 1,
    tokens_per_day: Annotated[int | None, typer.Option(help="Tokens that it may use in a day (UTC).", min=1)] = None,
    tokens_per_month: Annotated[
        int | None, typer.Option(help="Tokens that it may use in a calendar month.", min=1)
    ] = None,
    usd_per_day: Annotated[
        float | None, typer.Option(help="US dollars that it may use in a day, by the catalog's prices.", min=0.000001)
    ] = None,
    usd_per_month: Annotated[
        float | None, typer.Option(help="US dollars that it may use in a calendar month.", min=0.000001)
    ] = None,
) -> None:
    """Create a key and print it, last and alone on its line: it cannot be shown again."""
    key, secret = asyncio.run(
        _create(
            project,
            zero_retention=zero_retention,
            scopes=frozenset(scope or ()),
            requests_per_minute=requests_per_minute,
            max_storage_bytes=None if max_storage_mb is None else max_storage_mb * MIB,
            max_files=max_files,
            shards=shards,
            budgets=_budgets(tokens_per_day, tokens_per_month, usd_per_day, usd_per_month),
        )
    )
    messages.print(f"Created {key.id} for project {escape(project)}. Keep the key: it cannot be shown again.")
    typer.echo(secret)


@app.command("list")
def list_keys() -> None:
    """List all keys, revoked ones included."""
    rows = table("ID", "Project", "Limits", "Created (UTC)", "Revoked (UTC)", folding=("Project", "Limits"))
    for key in asyncio.run(_all()):
        rows.add_row(
            key.id,
            escape(key.project),
            _limits(key),
            _minute(key.created_at),
            _minute(key.revoked_at) if key.revoked_at else "",
        )
    output.print(rows if rows.row_count else "No keys yet: obscura keys create --project NAME")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The id that 'obscura keys list' shows.")]) -> None:
    """Revoke a key: at once on this machine, within a minute on AWS."""
    if not asyncio.run(_revoke(key_id)):
        print_error(f"There is no live key {key_id}. See 'obscura keys list'.")
        raise typer.Exit(1)
    output.print(f"Revoked {escape(key_id)}.")


def _budgets(
    tokens_per_day: int | None, tokens_per_month: int | None, usd_per_day: float | None, usd_per_month: float | None
) -> tuple[Budget, ...]:
    given = (
        ("tokens", "day", tokens_per_day),
        ("tokens", "month", tokens_per_month),
        ("cost", "day", usd_per_day and round(usd_per_day * MICRO)),
        ("cost", "month", usd_per_month and round(usd_per_month * MICRO)),
    )
    return parse_budgets(" ".join(f"{counted}/{window}={limit}" for counted, window, limit in given if limit))


async def _create(project: str, **fields: Any) -> tuple[ApiKey, str]:
    async with open_stores(Settings()) as stores:
        # An operator who may create keys may also create the address secret; the functions on Lambda may only read it.
        await stores.address_secret.read()
        return await create_key(stores.keys, project, **fields)


async def _all() -> Sequence[ApiKey]:
    async with open_stores(Settings()) as stores:
        return await stores.keys.list_all()


async def _revoke(key_id: str) -> bool:
    async with open_stores(Settings()) as stores:
        return await stores.keys.revoke(key_id, datetime.now(UTC))


def _limits(key: ApiKey) -> str:
    retention = ["zero"] if key.zero_retention else []
    rate = [f"{key.requests_per_minute}/min"] if key.requests_per_minute else []
    storage = [] if key.max_storage_bytes is None else [f"{key.max_storage_bytes // MIB:,} MiB"]
    files = [] if key.max_files is None else [f"{key.max_files:,} files"]
    shards = [f"{key.shards} shards"] if key.shards > 1 else []
    budgets = [_budget(budget) for budget in key.budgets]
    return ", ".join([*retention, *sorted(key.scopes), *rate, *storage, *files, *shards, *budgets])


def _budget(budget: Budget) -> str:
    amount = f"{budget.limit:,} tokens" if budget.counted == "tokens" else f"{budget.limit / MICRO:g} USD"
    return f"{amount}/{budget.window}"


def _minute(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
