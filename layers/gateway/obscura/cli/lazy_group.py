"""A command group that imports a command's module only when it runs: ``obscura --help`` imports none of them."""

from importlib import import_module
from typing import cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

type Command = TyperCommand | TyperGroup

SUMMARIES = {
    "serve": "Serve the gateway, with a fresh key that lives as long as the server, and a curl line to try.",
    "keys": "Create, list and revoke API keys.",
    "quota": "Show and reset what an address has used of the free tier.",
    "files": "List and remove stored files.",
    "verdicts": "Forget the moderation verdicts that are remembered.",
    "ask": "Ask about a photograph, with the settings of this environment.",
    "tokens": "Show each image's format, its size before and after preparation, and its tokens by counting profile.",
    "policy": "Validate, explain, simulate, compare, test and replay policies in files.",
    "usage": "Show tokens, images and the estimated cost by key, model and day.",
    "doctor": "Report what is configured, what is reachable and what is missing; exit with status 1 if anything is "
    "missing.",
}
"""Each command's line in the help. ``obscura.cli.<name>`` has the command: as ``app``, or as a function of its name."""


class LazyGroup(TyperGroup):
    """Lists its commands by their summaries and imports the one that is run."""

    # Typer's own click, whose Context these methods are declared with, is private: typer.Context is the public name.

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Return the names of all commands."""
        return list(SUMMARIES)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | None:  # type: ignore[override]
        """Return a command with its summary alone, for the help."""
        return TyperCommand(cmd_name, help=SUMMARIES[cmd_name]) if cmd_name in SUMMARIES else None

    def resolve_command(  # type: ignore[override]
        self, ctx: typer.Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        """Return the command itself, to run or for its own help."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name and listed else None, rest


def load_command(name: str) -> Command:
    """Import a command of ``SUMMARIES``."""
    module = import_module(f"obscura.cli.{name}")
    holder = typer.Typer()
    if hasattr(module, "app"):
        holder.add_typer(module.app, name=name)
    else:
        holder.command(name)(getattr(module, name))
    return cast("Command", get_group(holder).commands[name])
