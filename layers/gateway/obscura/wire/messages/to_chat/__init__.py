"""Messages requests as chat completions: a tree made of the body's own leaves, spliced wherever they can be."""

from obscura.wire.messages.to_chat.request import ChatRequest, chat_request

__all__ = ["ChatRequest", "chat_request"]
