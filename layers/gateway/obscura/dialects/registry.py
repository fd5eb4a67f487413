"""The caller dialects by name: the one place where their set is written."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obscura.dialects.base import CallerDialect

CALLER_DIALECTS = {
    "chat": "obscura.dialects.chat.request:ChatDialect",
    "messages": "obscura.dialects.messages.request:MessagesDialect",
    "responses": "obscura.dialects.responses.request:ResponsesDialect",
}
"""Module and class of each, as strings, so that a Lambda function imports only its own."""

PIVOT = "chat"
"""The dialect that every upstream speaks, and that all others are translated to."""


def names() -> tuple[str, ...]:
    """Return the name of every caller dialect, without importing any."""
    return tuple(CALLER_DIALECTS)


def require_dialect(name: str) -> str:
    """Return a name as it is; raises ValueError, listing the names, if it is not registered. For pydantic's types."""
    if name not in CALLER_DIALECTS:
        raise ValueError(f"must be one of {', '.join(CALLER_DIALECTS)}")
    return name


def load_dialect(name: str) -> "CallerDialect":
    """Import a dialect and return an instance of it; raises KeyError on a name that is not registered."""
    module, _, class_name = CALLER_DIALECTS[name].partition(":")
    dialect: CallerDialect = getattr(import_module(module), class_name)()
    return dialect
