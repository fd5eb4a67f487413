"""What the commands print: results to standard output, messages to standard error, and an error's exit status."""

from collections.abc import Collection

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from obscura.auth.projects import ReservedProject
from obscura.errors import ObscuraError
from obscura.settings import ConfigurationError, setting_errors

output = Console(soft_wrap=True, highlight=False)
messages = Console(stderr=True, soft_wrap=True, highlight=False)


def table(*headings: str, folding: Collection[str]) -> Table:
    """Return an empty table; on a narrow terminal the columns of ``folding`` wrap and the others stay whole."""
    empty = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        empty.add_column(heading, no_wrap=heading not in folding, overflow="fold")
    return empty


def print_error(message: str) -> None:
    """Print what went wrong."""
    messages.print(f"[red]error[/red] {escape(message)}")


CONFIGURATION_ERROR = 2
STORE_UNAVAILABLE = 1


def exit_status(error: Exception) -> int:
    """Print an expected error and return the status to exit with; raise any other again."""
    match error:
        case ValidationError():
            for fault in setting_errors(error):
                print_error(fault)
        case ConfigurationError() | ReservedProject():
            print_error(str(error))
        case ObscuraError():
            print_error(error.message)
            return STORE_UNAVAILABLE
        case _:
            raise error
    return CONFIGURATION_ERROR
