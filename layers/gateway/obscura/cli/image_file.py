"""Image files named on the command line, and how large the model sees them."""

from enum import StrEnum
from pathlib import Path

import typer

from obscura.cli.console import print_error


class DetailOption(StrEnum):
    """How large the model sees the image."""

    low = "low"
    auto = "auto"
    high = "high"


def read_image(path: Path) -> bytes:
    """Return the bytes of a file; if it cannot be read, print why and exit with status 1."""
    try:
        return path.read_bytes()
    except OSError as error:
        print_error(f"Cannot read {path}: {error.strerror}.")
        raise typer.Exit(1) from None
