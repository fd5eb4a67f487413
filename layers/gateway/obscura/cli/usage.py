"""``obscura usage``: tokens, images and cost by key, model and day."""

import asyncio
import csv
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from obscura.cli.console import output, print_error, table
from obscura.settings import Settings
from obscura.stores.open import open_stores
from obscura.usage.base import KEPT_DAYS, UsageCounts, UsageRow
from obscura.usage.report import GROUPS, UsageObject, grouped

app = typer.Typer(help="Show what keys have used.")


class Form(StrEnum):
    """How the report is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.callback(invoke_without_command=True)
def usage(
    days: Annotated[int, typer.Option(help="How many days, today included (UTC).", min=1, max=KEPT_DAYS)] = 30,
    key: Annotated[str | None, typer.Option(metavar="ID", help="Of one key, as 'obscura keys list' shows it.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="key, model or day; repeatable. Default: all three.")] = None,
    form: Annotated[Form, typer.Option("--format", help="How it is printed.")] = Form.TABLE,
) -> None:
    """Show tokens, images and the estimated cost by key, model and day."""
    groups = tuple(by or GROUPS)
    if unknown := set(groups) - set(GROUPS):
        print_error(f"--by takes {', '.join(GROUPS)}, not '{min(unknown)}'.")
        raise typer.Exit(2)
    rows = grouped(asyncio.run(_rows(days, key)), groups)
    if form is Form.JSON:
        typer.echo(json.dumps([row.shown() for row in rows], indent=2))
    elif form is Form.CSV:
        writer = csv.DictWriter(sys.stdout, [*groups, *UsageObject.count_names()], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.shown() for row in rows)
    else:
        _print_table(rows, groups)


async def _rows(days: int, key: str | None) -> Sequence[UsageRow]:
    today = datetime.now(UTC).date()
    async with open_stores(Settings()) as stores:
        return await stores.usage.rows(today - timedelta(days=days - 1), today, key)


def _print_table(rows: Sequence[UsageObject], groups: Sequence[str]) -> None:
    titles = [name.capitalize() for name in groups]
    shown = table(*titles, "Requests", "Images", "Input", "Cached", "Output", "USD", folding=titles)
    total = UsageCounts()
    for row in rows:
        total.add(row.counts)
        shown.add_row(*(escape(str(row.group[name])) for name in groups), *_numbers(row.counts))
    if len(rows) > 1:
        shown.add_section()
        shown.add_row("All", *("" for _ in groups[1:]), *_numbers(total))
    output.print(shown if rows else "No usage in these days.")


def _numbers(counts: UsageCounts) -> list[str]:
    tokens = (counts.requests, counts.images, counts.input_tokens, counts.cached_tokens, counts.output_tokens)
    return [*(f"{number:,}" for number in tokens), f"{counts.cost_usd:.4f}"]
