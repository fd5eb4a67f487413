"""The chat dialect (OpenAI's API reference, "Create chat completion"): a request parsed, and rendered for upstream."""

from collections.abc import Collection
from dataclasses import dataclass

from msgspec import Raw

from obscura.dialects.base import (
    CREDENTIAL_HEADERS,
    ContentLimits,
    JsonSchema,
    RequestHead,
    ResponseTranslator,
    UpstreamBody,
)
from obscura.dialects.chat.content import collect_part
from obscura.dialects.chat.events import PASSTHROUGH
from obscura.dialects.chat.rules import REQUEST
from obscura.dialects.chat_options import DEFAULT_OPTIONS, ChatOptions
from obscura.dialects.content import ContentRequest, RequestContent
from obscura.dialects.errors import OpenAIErrorFormat
from obscura.dialects.json.fields import optional_bool, require_part_count, required_string
from obscura.dialects.json.raw import (
    Node,
    RawJson,
    RawObject,
    is_array,
    is_null,
    is_object,
    is_string,
    open_array,
    open_object,
)
from obscura.dialects.registry import PIVOT
from obscura.dialects.rules.containers import review
from obscura.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class ChatRequest(ContentRequest):
    """A chat completion request."""

    rule = REQUEST

    model: str
    streamed: bool
    content: RequestContent

    def check_translatable(self, dialects: Collection[str], options: ChatOptions = DEFAULT_OPTIONS) -> None:
        """Accept every request: chat is passed on as it came."""

    def answer_translator(self) -> ResponseTranslator:
        """Return the translator that passes chat on."""
        return PASSTHROUGH

    def to_upstream(self, dialects: Collection[str] = (PIVOT,), options: ChatOptions = DEFAULT_OPTIONS) -> UpstreamBody:
        """Render the request for an upstream that speaks chat, as every one does."""
        return UpstreamBody(PIVOT, self.render_chat(self.content.body.root, options), self.streamed, PASSTHROUGH)


_IMAGE: JsonSchema = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "description": "An https URL, or a data URL of base64."},
        "detail": {"enum": ["low", "auto", "high"], "default": "auto", "description": "768, 1280 or 2048 px."},
    },
}
_PART: JsonSchema = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "examples": ["text", "image_url"]},
        "text": {"type": "string"},
        "image_url": {"anyOf": [_IMAGE, {"type": "string"}]},
    },
}
_MESSAGE: JsonSchema = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "minLength": 1, "examples": ["user"]},
        "content": {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 16, "items": _PART}]},
    },
}
REQUEST_SCHEMA: JsonSchema = {
    "type": "object",
    "description": "OpenAI's request; every field that is not named here goes to the upstream untouched.",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string", "minLength": 1},
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "stream": {"type": "boolean", "default": False},
    },
}


class ChatDialect(OpenAIErrorFormat):
    """``POST /v1/chat/completions``."""

    name = "chat"
    paths = ("/v1/chat/completions", "/chat/completions")
    credential_headers = CREDENTIAL_HEADERS
    summary = "Create a chat completion, with images"
    request_schema = REQUEST_SCHEMA
    response_type = None

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> ChatRequest:
        """Parse a request: model, stream, and the images, videos and texts of its messages."""
        root = body.root
        model, streamed = required_string(body, root, "model"), optional_bool(root, "stream")
        if is_null(root.get("messages")):
            raise InvalidRequest("'messages' is required: an array of at least one message.", param="messages")
        messages = open_array(root["messages"], "messages")
        if not messages:
            raise InvalidRequest("'messages' is empty. Send at least one message.", param="messages")
        content = RequestContent(body, limits)
        root["messages"] = [
            _collect_message(message, f"messages[{index}]", content) for index, message in enumerate(messages)
        ]
        _collect_prediction(root, content)
        review(root, REQUEST, content)
        body.check_unread()
        return ChatRequest(model, streamed, content)


def _collect_message(leaf: Raw, path: str, content: RequestContent) -> RawObject:
    message = open_object(leaf, path)
    required_string(content.body, message, "role", path)
    _collect_content(message, path, content)
    return message


def _collect_content(holder: RawObject, path: str, content: RequestContent) -> None:
    leaf = holder.get("content")
    if is_array(leaf):
        parts = open_array(leaf, f"{path}.content")
        require_part_count(parts, f"{path}.content", content.limits)
        nodes: list[Node] = []
        for index, part in enumerate(parts):
            nodes.append(collect_part(part, f"{path}.content[{index}]", nodes, content))
        holder["content"] = nodes
    elif not is_null(leaf) and not is_string(leaf):
        raise InvalidRequest(f"'{path}.content' must be a string or an array of parts.", param=f"{path}.content")


def _collect_prediction(root: RawObject, content: RequestContent) -> None:
    if is_object(root.get("prediction")):
        prediction = open_object(root["prediction"], "prediction")
        _collect_content(prediction, "prediction", content)
        root["prediction"] = prediction
