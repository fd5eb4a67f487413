"""``obscura policy verify-events``: the hash chains in a file of recorded events."""

from pathlib import Path
from typing import Annotated

import typer

from obscura.cli.console import print_error

BROKEN = 1
UNREADABLE = 2


def verify_events(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Log lines, or events, one JSON object a line.")],
    show: Annotated[bool, typer.Option("--print", help="Print the events themselves, as `replay` reads them.")] = False,
) -> None:
    """Verify the hash chains of recorded events; exit with status 1 if one is broken, 2 if there is none to read."""
    from obscura.policy_events.chain import recorded_event, verify

    try:
        with path.open("rb") as lines:
            events = [event for line in lines if (event := recorded_event(line)) is not None]
    except OSError as error:
        print_error(f"{path} cannot be read: {error.strerror}.")
        raise typer.Exit(UNREADABLE) from None
    if not events:
        print_error(f"{path} has no line with a chained event.")
        raise typer.Exit(UNREADABLE)
    if show:
        for event in events:
            typer.echo(event)
    reports = verify(events)
    for report in reports:
        span = f"chain {report.chain_id}: {report.events} events, {report.first} to {report.last}"
        typer.echo(f"{span}, {'intact' if report.intact else 'broken'}", err=show)
        for first, last in report.missing:
            typer.echo(f"  missing: {first}" + (f" to {last}" if last > first else ""), err=show)
        for number in report.altered:
            typer.echo(f"  altered: {number}", err=show)
    if not all(report.intact for report in reports):
        raise typer.Exit(BROKEN)
