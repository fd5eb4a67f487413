"""The command line: one module per command (serve, keys, quota, files, ask, tokens, policy, doctor)."""

import sys
from typing import Annotated

import typer

from obscura.cli.lazy_group import LazyGroup

app = typer.Typer(
    cls=LazyGroup,
    name="obscura",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from obscura.version import __version__

        typer.echo(f"obscura {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """An image LLM API for your own AWS account, and whole on this machine."""


def main() -> None:
    """Run one command; exit with status 2 if a setting is wrong, and with 1 if a store cannot be reached."""
    try:
        app()
    except Exception as error:
        # Settings take longer to load than most commands to run.
        from obscura.cli.console import exit_status

        sys.exit(exit_status(error))
