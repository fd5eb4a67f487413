"""Photographs named on the command line."""

from pathlib import Path

import typer

from obscura.cli.terminal import say_error


def read_photo(path: Path) -> bytes:
    """Read a file, or say what is wrong with it and end the command with status 1."""
    try:
        return path.read_bytes()
    except OSError as failure:
        say_error(f"Cannot read {path}: {failure.strerror}.")
        raise typer.Exit(1) from None
