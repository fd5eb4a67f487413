"""The kinds of upstreams by name: the one place where their set is written."""

from importlib import import_module
from typing import Protocol, cast

from obscura.upstreams.base import UpstreamDialect

UPSTREAM_KINDS = {
    "openai": "obscura.upstreams.openai:OpenAIUpstream",
    "anthropic": "obscura.upstreams.anthropic:AnthropicUpstream",
}
"""Module and class of each, as strings, so that a process imports only the kinds that it uses."""

DEFAULT_KIND = "openai"


class UpstreamKind(Protocol):
    """The class of an upstream's dialect."""

    speaks: frozenset[str]

    def __call__(self, key: str | None) -> UpstreamDialect:
        """Create the dialect of one upstream, with the operator's key for it."""
        ...


def require_kind(name: str) -> str:
    """Return a name as it is; raises ValueError, listing the names, if it is not registered. For pydantic's types."""
    if name not in UPSTREAM_KINDS:
        raise ValueError(f"must be one of {', '.join(UPSTREAM_KINDS)}")
    return name


def load_kind(name: str) -> UpstreamKind:
    """Import a kind and return its class; raises KeyError on a name that is not registered."""
    module, _, class_name = UPSTREAM_KINDS[name].partition(":")
    return cast("UpstreamKind", getattr(import_module(module), class_name))
