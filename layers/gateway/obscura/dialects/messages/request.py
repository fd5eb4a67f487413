"""A request to Messages: passed on where the upstream speaks Messages itself, translated to chat where not."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from obscura.dialects.base import ContentLimits, ImageSlot, UpstreamBody, VideoSlot
from obscura.dialects.errors import AnthropicErrorFormat
from obscura.dialects.json.fields import optional_bool, require_image_count, required_int, required_text
from obscura.dialects.json.raw import Node, RawJson, is_array, is_null, is_string, open_array, open_object
from obscura.dialects.messages.content import ContentCollector, RequestContent, as_base64_source
from obscura.dialects.messages.events import PASSTHROUGH
from obscura.dialects.messages.stream import MessagesTranslator
from obscura.dialects.messages.to_chat.request import to_chat_request
from obscura.errors import InvalidRequest

NATIVE = "messages"


@dataclass(slots=True)
class MessagesRequest:
    """A request for a message; its content stands opened in ``body.root``."""

    model: str
    streamed: bool
    body: RawJson
    found: RequestContent

    @property
    def image_slots(self) -> list[ImageSlot]:
        """Every image, in request order: system, then messages."""
        return self.found.image_slots

    @property
    def video_slots(self) -> list[VideoSlot]:
        """None: Messages have no videos."""
        return []

    @property
    def texts(self) -> list[str]:
        """Every text: system, text and thinking blocks, tool results, documents."""
        return self.found.texts

    def check_translatable(self, dialects: Collection[str]) -> None:
        """Raise UnsupportedField or InvalidRequest on what cannot be translated."""
        if NATIVE not in dialects:
            to_chat_request(self.body, self.streamed)

    def to_upstream(self, dialects: Collection[str] = ("chat",)) -> UpstreamBody:
        """Write the request; translated, it raises UnsupportedField or InvalidRequest on what cannot be carried."""
        if NATIVE in dialects:
            return UpstreamBody("/messages", self.native_body(), self.streamed, PASSTHROUGH)
        told = to_chat_request(self.body, self.streamed)
        reply = MessagesTranslator(self.model, told.stop_sequences, told.thinking_shown)
        return UpstreamBody("/chat/completions", self.body.render(told.tree), self.streamed, reply)

    def native_body(self) -> bytes:
        """Write the request as it came, with the prepared images as base64 sources."""
        for block in self.found.image_blocks:
            as_base64_source(block)
        return self.body.render()


BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


class _TokenCount(msgspec.Struct):
    input_tokens: int
    estimate: bool


class CountTokensRequest(MessagesRequest):
    """A request whose tokens are to be counted."""

    def check_translatable(self, dialects: Collection[str]) -> None:
        """Raise UnsupportedField or InvalidRequest on what could not be asked for."""
        if NATIVE not in dialects:
            to_chat_request(self.body, False, needs_max_tokens=False)

    def to_upstream(self, dialects: Collection[str] = (NATIVE,)) -> UpstreamBody:
        """Write the request for an upstream that counts; only those that speak Messages do."""
        return UpstreamBody("/messages/count_tokens", self.native_body(), False, PASSTHROUGH)

    def upstream_can_count(self, dialects: Collection[str]) -> bool:
        """Whether an upstream that speaks ``dialects`` counts by itself."""
        return NATIVE in dialects

    def estimate(self, image_tokens: Sequence[int]) -> bytes:
        """Write the answer that says it is an estimate."""
        read_bytes = sum(len(text.encode()) for text in self.texts)
        messages = self.body.root["messages"]
        turns = messages if isinstance(messages, list) else []
        read_bytes += sum(self._calls_bytes(turn["content"]) for turn in turns if isinstance(turn, dict))
        if "tools" in self.body.root:
            read_bytes += len(self.body.render(self.body.root["tools"]))
        counted = -(-read_bytes // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * len(turns) + sum(image_tokens)
        return msgspec.json.encode(_TokenCount(counted, True))

    def _calls_bytes(self, content: Node) -> int:
        calls = [block for block in (content if isinstance(content, list) else []) if isinstance(block, dict)]
        return sum(len(self.body.render(block[key])) for block in calls for key in ("name", "input") if key in block)


class MessagesDialect(AnthropicErrorFormat):
    """``POST /v1/messages``."""

    name = "messages"

    def parse(self, body: RawJson, limits: ContentLimits) -> MessagesRequest:
        """Read a request: model, max_tokens, stream, and the images and texts of system and messages."""
        model, found = _parse(body, limits)
        required_int(body.root, "max_tokens")
        return MessagesRequest(model, optional_bool(body.root, "stream"), body, found)


class CountTokensDialect(AnthropicErrorFormat):
    """``POST /v1/messages/count_tokens``: a request for a message without max_tokens."""

    name = "messages"

    def parse(self, body: RawJson, limits: ContentLimits) -> CountTokensRequest:
        """Read a request, as for a message."""
        model, found = _parse(body, limits)
        return CountTokensRequest(model, False, body, found)


def _parse(body: RawJson, limits: ContentLimits) -> tuple[str, RequestContent]:
    root, opener = body.root, ContentCollector(body, limits)
    model = required_text(body, root, "model")
    system = root.get("system")
    if system is not None and not is_null(system):
        root["system"] = opener.content(_string_or_array(system, "system"), "system")
    messages = root.get("messages")
    if messages is None or is_null(messages) or not open_array(messages, "messages"):
        raise InvalidRequest("'messages' is required: an array of at least one message.", param="messages")
    root["messages"] = [
        _collect_message(message, f"messages[{index}]", body, opener)
        for index, message in enumerate(open_array(messages, "messages"))
    ]
    require_image_count(opener.found.image_slots, limits)
    body.check_unread()
    return model, opener.found


def _collect_message(leaf: Raw, path: str, body: RawJson, opener: ContentCollector) -> Node:
    message = open_object(leaf, path)
    required_text(body, message, "role", path)
    content = _string_or_array(message.get("content"), f"{path}.content")
    message["content"] = opener.collect_limited(content, f"{path}.content")
    return message


def _string_or_array(leaf: Node | None, path: str) -> Node:
    if leaf is None or not (is_string(leaf) or is_array(leaf)):
        raise InvalidRequest(f"'{path}' must be a string or an array of content blocks.", param=path)
    return leaf
