"""The Messages dialect: a request parsed, passed on to an upstream that speaks Messages, or translated to chat."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from obscura.dialects.base import (
    CREDENTIAL_HEADERS,
    ContentLimits,
    JsonSchema,
    RequestHead,
    ResponseTranslator,
    UpstreamBody,
)
from obscura.dialects.chat_options import DEFAULT_OPTIONS, ChatOptions, TokenLimit
from obscura.dialects.content import ContentRequest, RequestContent
from obscura.dialects.errors import AnthropicErrorFormat
from obscura.dialects.json.fields import (
    optional_array,
    optional_bool,
    required_int,
    required_string,
)
from obscura.dialects.json.raw import Node, RawJson, is_array, is_null, is_string, open_object
from obscura.dialects.messages.content import collect_content, collect_limited
from obscura.dialects.messages.events import PASSTHROUGH
from obscura.dialects.messages.rules import REQUEST
from obscura.dialects.messages.stream import MessagesTranslator
from obscura.dialects.messages.to_chat.request import to_chat_request
from obscura.dialects.messages.tool_rules import TOOLS
from obscura.dialects.registry import PIVOT
from obscura.dialects.rules.containers import review
from obscura.dialects.rules.leaves import Review, Rule, text
from obscura.errors import InvalidRequest

NATIVE = "messages"


@dataclass(frozen=True, slots=True)
class MessagesRequest(ContentRequest):
    """A request for a message; ``content.body.root`` holds its content opened."""

    rule = REQUEST

    model: str
    streamed: bool
    content: RequestContent

    def check_translatable(self, dialects: Collection[str], options: ChatOptions = DEFAULT_OPTIONS) -> None:
        """Raise UnsupportedField or InvalidRequest if the request must be translated and cannot be."""
        if NATIVE not in dialects:
            to_chat_request(self.content.body, self.streamed, options)

    def answer_translator(self) -> ResponseTranslator:
        """Return the translator of a chat answer that has text alone."""
        return MessagesTranslator(self.model, (), False)

    def to_upstream(self, dialects: Collection[str] = (PIVOT,), options: ChatOptions = DEFAULT_OPTIONS) -> UpstreamBody:
        """Render the request, unchanged but for its images, or translated to chat.

        Raises what ``check_translatable`` raises.
        """
        body = self.content.body
        if NATIVE in dialects:
            return UpstreamBody(NATIVE, body.render(), self.streamed, PASSTHROUGH)
        chat = to_chat_request(body, self.streamed, options)
        translator = MessagesTranslator(self.model, chat.stop_sequences, chat.thinking_shown)
        return UpstreamBody(
            PIVOT,
            self.render_chat(chat.tree, options),
            self.streamed,
            translator,
            token_limit=TokenLimit(options.token_limit_field, self.model),
        )


BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


class _TokenCount(msgspec.Struct):
    input_tokens: int
    estimate: bool


class CountTokensRequest(MessagesRequest):
    """A request whose tokens are to be counted."""

    def check_translatable(self, dialects: Collection[str], options: ChatOptions = DEFAULT_OPTIONS) -> None:
        """Raise UnsupportedField or InvalidRequest if the counted request could not be sent."""
        if NATIVE not in dialects:
            to_chat_request(self.content.body, False, options, counts_tokens=True)

    def to_upstream(
        self, dialects: Collection[str] = (NATIVE,), options: ChatOptions = DEFAULT_OPTIONS
    ) -> UpstreamBody:
        """Render the request for an upstream that counts, which only those that speak Messages do."""
        return UpstreamBody(NATIVE, self.content.body.render(), False, PASSTHROUGH, counts_tokens=True)

    def upstream_can_count(self, dialects: Collection[str]) -> bool:
        """Whether an upstream that speaks ``dialects`` counts by itself."""
        return NATIVE in dialects

    def estimate(self, image_tokens: Sequence[int]) -> bytes:
        """Render the response for an upstream that cannot count; it says that it is an estimate.

        Every text counts, and tools and tool calls as the JSON that they are.
        """
        root = self.content.body.root
        node = root["messages"]
        messages = node if isinstance(node, list) else []
        text_bytes = _bytes_of(self.texts)
        text_bytes += sum(
            self._call_punctuation(message["content"]) for message in messages if isinstance(message, dict)
        )
        if "tools" in root:
            text_bytes += self._punctuation(root["tools"], TOOLS)
        text_tokens = -(-text_bytes // BYTES_PER_TOKEN)
        return msgspec.json.encode(
            _TokenCount(text_tokens + TOKENS_PER_MESSAGE * len(messages) + sum(image_tokens), True)
        )

    def _call_punctuation(self, content: Node) -> int:
        blocks = [block for block in (content if isinstance(content, list) else []) if isinstance(block, dict)]
        return sum(self._punctuation(block[key], text) for block in blocks for key in ("name", "input") if key in block)

    def _punctuation(self, node: Node, rule: Rule) -> int:
        """Return how many bytes longer a part of the request is than the texts that its rule finds in it."""
        body = self.content.body
        found = RequestContent(body, self.content.limits)
        rule(node, Review(found))
        return len(body.render(node)) - _bytes_of(found.texts)


def _bytes_of(texts: Sequence[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def _source(kind: str, *keys: str) -> JsonSchema:
    """Return the schema of a source of one kind, whose first key is required; the keys of other kinds are refused."""
    others = [key for key in ("data", "media_type", "url", "file_id") if key not in keys]
    return {
        "properties": {"type": {"const": kind}},
        "required": [keys[0]],
        "not": {"anyOf": [{"required": [key]} for key in others]},
    }


_SOURCE: JsonSchema = {
    "type": "object",
    "required": ["type"],
    "oneOf": [
        _source("base64", "data", "media_type"),
        _source("url", "url"),
        _source("file", "file_id"),
    ],
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
        "model": {"type": "string", "minLength": 1},
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "system": _CONTENT,
    },
}
REQUEST_SCHEMA: JsonSchema = COUNT_TOKENS_SCHEMA | {
    "required": ["model", "messages", "max_tokens"],
    "properties": {
        "model": {"type": "string", "minLength": 1},
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
    response_type = None

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> MessagesRequest:
        """Parse a request: model, max_tokens, stream, and the images and texts of all its fields."""
        model, content = _parse(body, limits)
        required_int(body.root, "max_tokens")
        return MessagesRequest(model, optional_bool(body.root, "stream"), content)


class CountTokensDialect(AnthropicErrorFormat):
    """``POST /v1/messages/count_tokens``: a request for a message without max_tokens."""

    name = "messages"
    paths = ("/v1/messages/count_tokens",)
    credential_headers = CREDENTIAL_HEADERS
    summary = "Count the tokens of a message"
    request_schema = COUNT_TOKENS_SCHEMA
    response_type = None

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> CountTokensRequest:
        """Parse a request, as for a message."""
        model, content = _parse(body, limits)
        return CountTokensRequest(model, False, content)


def _parse(body: RawJson, limits: ContentLimits) -> tuple[str, RequestContent]:
    root, content = body.root, RequestContent(body, limits)
    model = required_string(body, root, "model")
    system = root.get("system")
    if not is_null(system):
        root["system"] = collect_content(_string_or_array(system, "system"), "system", content)
    messages = optional_array(root, "messages")
    if not messages:
        raise InvalidRequest("'messages' is required: an array of at least one message.", param="messages")
    root["messages"] = [
        _collect_message(message, f"messages[{index}]", content) for index, message in enumerate(messages)
    ]
    review(root, REQUEST, content)
    body.check_unread()
    return model, content


def _collect_message(leaf: Raw, path: str, content: RequestContent) -> Node:
    message = open_object(leaf, path)
    required_string(content.body, message, "role", path)
    blocks = _string_or_array(message.get("content"), f"{path}.content")
    message["content"] = collect_limited(blocks, f"{path}.content", content)
    return message


def _string_or_array(leaf: Node | None, path: str) -> Node:
    if leaf is None or not (is_string(leaf) or is_array(leaf)):
        raise InvalidRequest(f"'{path}' must be a string or an array of content blocks.", param=path)
    return leaf
