"""The Messages API as it looks on the wire (Anthropic's API reference, "Create a Message", "Count tokens")."""

from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.dialect import ContentLimits
from obscura.wire.error_shapes import AnthropicShape
from obscura.wire.fields import check_image_count, flag, required_text
from obscura.wire.messages.ask import MessagesAsk
from obscura.wire.messages.content import ContentOpener, Found
from obscura.wire.messages.count import CountAsk
from obscura.wire.messages.fields import required_count
from obscura.wire.raw_body import Node, RawBody, is_array, is_null, is_string, items, members


class MessagesDialect(AnthropicShape):
    """``POST /v1/messages``."""

    name = "messages"

    def parse(self, body: RawBody, limits: ContentLimits) -> MessagesAsk:
        """Read a request: model, max_tokens, stream, and the pictures and texts of system and messages."""
        model, found = _open(body, limits)
        required_count(body.root, "max_tokens")
        return MessagesAsk(model, flag(body.root, "stream"), body, found)


class CountTokensDialect(AnthropicShape):
    """``POST /v1/messages/count_tokens``: a request for a message without max_tokens."""

    name = "messages"

    def parse(self, body: RawBody, limits: ContentLimits) -> CountAsk:
        """Read a request, as for a message."""
        model, found = _open(body, limits)
        return CountAsk(model, False, body, found)


def _open(body: RawBody, limits: ContentLimits) -> tuple[str, Found]:
    root, opener = body.root, ContentOpener(body, limits)
    model = required_text(body, root, "model")
    system = root.get("system")
    if system is not None and not is_null(system):
        root["system"] = opener.content(_string_or_array(system, "system"), "system")
    messages = root.get("messages")
    if messages is None or is_null(messages) or not items(messages, "messages"):
        raise InvalidRequest("'messages' is required: an array of at least one message.", param="messages")
    root["messages"] = [
        _open_message(message, f"messages[{index}]", body, opener)
        for index, message in enumerate(items(messages, "messages"))
    ]
    check_image_count(opener.found.image_slots, limits)
    body.check_unread()
    return model, opener.found


def _open_message(leaf: Raw, path: str, body: RawBody, opener: ContentOpener) -> Node:
    message = members(leaf, path)
    required_text(body, message, "role", path)
    content = _string_or_array(message.get("content"), f"{path}.content")
    message["content"] = opener.counted_content(content, f"{path}.content")
    return message


def _string_or_array(leaf: Node | None, path: str) -> Node:
    if leaf is None or not (is_string(leaf) or is_array(leaf)):
        raise InvalidRequest(f"'{path}' must be a string or an array of content blocks.", param=path)
    return leaf
