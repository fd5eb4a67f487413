"""What the commands print with: results on standard output, words about them on standard error."""

from rich.console import Console
from rich.markup import escape

output = Console(soft_wrap=True, highlight=False)
aside = Console(stderr=True, soft_wrap=True, highlight=False)


def say_error(message: str) -> None:
    """Print what went wrong."""
    aside.print(f"[red]error[/red] {escape(message)}")
