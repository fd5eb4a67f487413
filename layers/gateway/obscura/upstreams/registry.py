"""The kinds of upstreams by name: the one place where their set is written."""

from collections.abc import Collection
from importlib import import_module

from obscura.upstreams.base import UpstreamDialect

UPSTREAM_KINDS = {
    "openai": "obscura.upstreams.openai:OpenAIUpstream",
    "anthropic": "obscura.upstreams.anthropic:AnthropicUpstream",
    "vllm": "obscura.upstreams.vllm:VllmUpstream",
    "bedrock": "obscura.upstreams.bedrock.dialect:BedrockUpstream",
}
"""Module and class of each, as strings, so that a process imports only the kinds that it uses."""


def default_kind(dialects: Collection[str]) -> str:
    """Return the kind of an upstream of which only the dialects are known: OpenAI's, unless it speaks Messages."""
    return "anthropic" if "messages" in dialects else "openai"


def require_kind(name: str) -> str:
    """Return a name as it is; raises ValueError, listing the names, if it is not registered. For pydantic's types."""
    if name not in UPSTREAM_KINDS:
        raise ValueError(f"must be one of {', '.join(UPSTREAM_KINDS)}")
    return name


def require_spoken(kind: str, dialects: Collection[str]) -> None:
    """Raise ValueError if a kind of upstream does not speak all of ``dialects``."""
    unspoken = frozenset(dialects) - load_kind(kind).speaks
    if unspoken:
        raise ValueError(f"upstreams of kind {kind} do not speak {', '.join(sorted(unspoken))}")


def load_kind(name: str) -> type[UpstreamDialect]:
    """Import a kind and return its class; raises KeyError on a name that is not registered."""
    module, _, class_name = UPSTREAM_KINDS[name].partition(":")
    kind: type[UpstreamDialect] = getattr(import_module(module), class_name)
    return kind
