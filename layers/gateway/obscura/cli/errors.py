"""What the commands print with: results on standard output, words about them on standard error."""

from collections.abc import Collection

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from obscura.errors import ObscuraError
from obscura.settings import ConfigurationError, named_faults

output = Console(soft_wrap=True, highlight=False)
aside = Console(stderr=True, soft_wrap=True, highlight=False)


def table(*headings: str, folding: Collection[str]) -> Table:
    """Make a table where, on a narrow terminal, the columns ``folding`` give way and the others stay whole."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        made.add_column(heading, no_wrap=heading not in folding, overflow="fold")
    return made


def say_error(message: str) -> None:
    """Print what went wrong."""
    aside.print(f"[red]error[/red] {escape(message)}")


CONFIGURATION_ERROR = 2
UNREACHABLE = 1


def exit_status(failure: Exception) -> int:
    """Say what went wrong and give the status to end with; a failure that nobody foresaw is raised again."""
    match failure:
        case ValidationError():
            for fault in named_faults(failure):
                say_error(fault)
        case ConfigurationError():
            say_error(str(failure))
        case ObscuraError():
            say_error(failure.message)
            return UNREACHABLE
        case _:
            raise failure
    return CONFIGURATION_ERROR
