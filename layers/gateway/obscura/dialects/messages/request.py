"""The Messages dialect: a request parsed, passed on to an upstream that speaks Messages, or translated to chat."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from obscura.dialects.base import (
    CREDENTIAL_HEADERS,
    ContentLimits,
    DocumentSlot,
    ImageSlot,
    JsonSchema,
    RequestHead,
    UpstreamBody,
    VideoSlot,
)
from obscura.dialects.errors import AnthropicErrorFormat
from obscura.dialects.json.fields import (
    optional_array,
    optional_bool,
    require_image_count,
    required_int,
    required_string,
)
from obscura.dialects.json.raw import Node, RawJson, is_array, is_null, is_string, open_object
from obscura.dialects.messages.content import ContentCollector, RequestContent, set_base64_source
from obscura.dialects.messages.events import PASSTHROUGH
from obscura.dialects.messages.stream import MessagesTranslator
from obscura.dialects.messages.to_chat.request import to_chat_request
from obscura.dialects.registry import PIVOT
from obscura.errors import InvalidRequest

NATIVE = "messages"


@dataclass(slots=True)
class MessagesRequest:
    """A request for a message; ``body.root`` holds its content opened."""

    model: str
    streamed: bool
    body: RawJson
    content: RequestContent

    @property
    def images(self) -> Sequence[ImageSlot]:
        """Every image, in request order: system, then messages."""
        return self.content.images

    @property
    def videos(self) -> Sequence[VideoSlot]:
        """Empty: Messages have no videos."""
        return ()

    @property
    def documents(self) -> Sequence[DocumentSlot]:
        """Empty so far: parts with PDFs are rejected."""
        return ()

    @property
    def texts(self) -> Sequence[str]:
        """Every text: system, text and thinking blocks, tool results, documents."""
        return self.content.texts

    def check_translatable(self, dialects: Collection[str]) -> None:
        """Raise UnsupportedField or InvalidRequest if the request must be translated and cannot be."""
        if NATIVE not in dialects:
            to_chat_request(self.body, self.streamed)

    def to_upstream(self, dialects: Collection[str] = (PIVOT,)) -> UpstreamBody:
        """Render the request, unchanged but for its images, or translated to chat.

        Raises what ``check_translatable`` raises.
        """
        if NATIVE in dialects:
            return UpstreamBody(NATIVE, self.native_body(), self.streamed, PASSTHROUGH)
        chat = to_chat_request(self.body, self.streamed)
        translator = MessagesTranslator(self.model, chat.stop_sequences, chat.thinking_shown)
        return UpstreamBody(PIVOT, self.body.render(chat.tree), self.streamed, translator)

    def native_body(self) -> bytes:
        """Render the request as it came, with the prepared images as base64 sources."""
        for block in self.content.image_blocks:
            set_base64_source(block)
        return self.body.render()


BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


class _TokenCount(msgspec.Struct):
    input_tokens: int
    estimate: bool


class CountTokensRequest(MessagesRequest):
    """A request whose tokens are to be counted."""

    def check_translatable(self, dialects: Collection[str]) -> None:
        """Raise UnsupportedField or InvalidRequest if the counted request could not be sent."""
        if NATIVE not in dialects:
            to_chat_request(self.body, False, needs_max_tokens=False)

    def to_upstream(self, dialects: Collection[str] = (NATIVE,)) -> UpstreamBody:
        """Render the request for an upstream that counts, which only those that speak Messages do."""
        return UpstreamBody(NATIVE, self.native_body(), False, PASSTHROUGH, counts_tokens=True)

    def upstream_can_count(self, dialects: Collection[str]) -> bool:
        """Whether an upstream that speaks ``dialects`` counts by itself."""
        return NATIVE in dialects

    def estimate(self, image_tokens: Sequence[int]) -> bytes:
        """Render the response for an upstream that cannot count; it says that it is an estimate."""
        text_bytes = sum(len(text.encode()) for text in self.texts)
        node = self.body.root["messages"]
        messages = node if isinstance(node, list) else []
        text_bytes += sum(
            self._tool_call_bytes(message["content"]) for message in messages if isinstance(message, dict)
        )
        if "tools" in self.body.root:
            text_bytes += len(self.body.render(self.body.root["tools"]))
        text_tokens = -(-text_bytes // BYTES_PER_TOKEN)
        return msgspec.json.encode(
            _TokenCount(text_tokens + TOKENS_PER_MESSAGE * len(messages) + sum(image_tokens), True)
        )

    def _tool_call_bytes(self, content: Node) -> int:
        blocks = [block for block in (content if isinstance(content, list) else []) if isinstance(block, dict)]
        return sum(len(self.body.render(block[key])) for block in blocks for key in ("name", "input") if key in block)


_SOURCE: JsonSchema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["base64", "url", "file"]},
        "media_type": {"type": "string", "description": "Ignored: the bytes decide."},
        "data": {"type": "string"},
        "url": {"type": "string", "description": "An https URL."},
        "file_id": {"type": "string"},
    },
}
_BLOCK: JsonSchema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "examples": ["text", "image", "tool_use", "tool_result"]},
        "text": {"type": "string"},
        "source": _SOURCE,
    },
}
_CONTENT: JsonSchema = {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 16, "items": _BLOCK}]}
_MESSAGE: JsonSchema = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["user", "assistant", "system"]}, "content": _CONTENT},
}
COUNT_TOKENS_SCHEMA: JsonSchema = {
    "type": "object",
    "description": "Anthropic's request. A field that the model's upstream does not have is a 400 that names it.",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string"},
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "system": _CONTENT,
    },
}
REQUEST_SCHEMA: JsonSchema = COUNT_TOKENS_SCHEMA | {
    "required": ["model", "messages", "max_tokens"],
    "properties": {
        "model": {"type": "string"},
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "system": _CONTENT,
        "max_tokens": {"type": "integer", "minimum": 1},
        "stream": {"type": "boolean", "default": False},
    },
}


class MessagesDialect(AnthropicErrorFormat):
    """``POST /v1/messages``."""

    name = "messages"
    paths = ("/v1/messages",)
    credential_headers = CREDENTIAL_HEADERS
    summary = "Create a message, with images"
    request_schema = REQUEST_SCHEMA

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> MessagesRequest:
        """Parse a request: model, max_tokens, stream, and the images and texts of system and messages."""
        model, content = _parse(body, limits)
        required_int(body.root, "max_tokens")
        return MessagesRequest(model, optional_bool(body.root, "stream"), body, content)


class CountTokensDialect(AnthropicErrorFormat):
    """``POST /v1/messages/count_tokens``: a request for a message without max_tokens."""

    name = "messages"
    paths = ("/v1/messages/count_tokens",)
    credential_headers = CREDENTIAL_HEADERS
    summary = "Count the tokens of a message"
    request_schema = COUNT_TOKENS_SCHEMA

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> CountTokensRequest:
        """Parse a request, as for a message."""
        model, content = _parse(body, limits)
        return CountTokensRequest(model, False, body, content)


def _parse(body: RawJson, limits: ContentLimits) -> tuple[str, RequestContent]:
    root, collector = body.root, ContentCollector(body, limits)
    model = required_string(body, root, "model")
    system = root.get("system")
    if not is_null(system):
        root["system"] = collector.collect(_string_or_array(system, "system"), "system")
    messages = optional_array(root, "messages")
    if not messages:
        raise InvalidRequest("'messages' is required: an array of at least one message.", param="messages")
    root["messages"] = [
        _collect_message(message, f"messages[{index}]", body, collector) for index, message in enumerate(messages)
    ]
    require_image_count(collector.content.images, limits)
    body.check_unread()
    return model, collector.content


def _collect_message(leaf: Raw, path: str, body: RawJson, collector: ContentCollector) -> Node:
    message = open_object(leaf, path)
    required_string(body, message, "role", path)
    content = _string_or_array(message.get("content"), f"{path}.content")
    message["content"] = collector.collect_limited(content, f"{path}.content")
    return message


def _string_or_array(leaf: Node | None, path: str) -> Node:
    if leaf is None or not (is_string(leaf) or is_array(leaf)):
        raise InvalidRequest(f"'{path}' must be a string or an array of content blocks.", param=path)
    return leaf
