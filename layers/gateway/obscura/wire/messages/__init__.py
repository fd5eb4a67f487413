"""Anthropic Messages: requests read, passed on or translated to chat completions; answers told as messages."""

from obscura.wire.messages.dialect import CountTokensDialect, MessagesDialect

__all__ = ["CountTokensDialect", "MessagesDialect"]
