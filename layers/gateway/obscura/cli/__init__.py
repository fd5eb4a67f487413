"""The command line: serve, keys, ask, tokens, doctor; a module each."""

import sys

import typer
from pydantic import ValidationError

from obscura.cli import ask, doctor, keys, serve, tokens
from obscura.cli.terminal import say_error
from obscura.config import ConfigurationError, named_faults

app = typer.Typer(
    name="obscura",
    help="An image LLM API for your own AWS account, and whole on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.command("ask")(ask.ask)
app.command("tokens")(tokens.tokens)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run one command; a wrong setting is named and ends it with status 2."""
    try:
        app()
    except ValidationError as wrong:
        for fault in named_faults(wrong):
            say_error(fault)
        sys.exit(2)
    except ConfigurationError as wrong:
        say_error(str(wrong))
        sys.exit(2)
