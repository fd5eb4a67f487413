"""The command line: serve, keys, files, quota, ask, tokens, doctor; a module each."""

import sys

import typer
from pydantic import ValidationError

from obscura.cli import ask, doctor, files, keys, quota, serve, tokens
from obscura.cli.terminal import say_error
from obscura.config import PREFIX, ConfigurationError
from obscura.errors import ObscuraError

app = typer.Typer(
    name="obscura",
    help="An image LLM API for your own AWS account, and whole on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.add_typer(files.app, name="files")
app.add_typer(quota.app, name="quota")
app.command("ask")(ask.ask)
app.command("tokens")(tokens.tokens)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run one command; a wrong setting is named and ends it with status 2, a store that is not there with 1."""
    try:
        app()
    except ValidationError as wrong:
        for error in wrong.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in error["loc"][:1]).upper()
            say_error(f"{PREFIX}{name}: {error['msg']}")
        sys.exit(2)
    except ConfigurationError as wrong:
        say_error(str(wrong))
        sys.exit(2)
    except ObscuraError as failure:
        say_error(failure.message)
        sys.exit(1)
