"""The command line: serve, keys, quota, files, ask, tokens, doctor; a module each."""

import sys

import typer

from obscura.cli.lazy_group import LazyGroup

app = typer.Typer(
    cls=LazyGroup,
    name="obscura",
    help="An image LLM API for your own AWS account, and whole on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    callback=lambda: None,
)


def main() -> None:
    """Run one command; a wrong setting is named and ends it with status 2, a store that is not there with 1."""
    try:
        app()
    except Exception as failure:
        # Settings take longer to load than most commands to run.
        from obscura.cli.errors import exit_status

        sys.exit(exit_status(failure))
