"""What the commands print with: results on standard output, words about them on standard error."""

from collections.abc import Collection

from rich.console import Console
from rich.markup import escape
from rich.table import Table

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
