"""The chat dialect (OpenAI's API reference, "Create chat completion"): a request parsed, and rendered for upstream."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

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
from obscura.dialects.chat.content import RequestContent, collect_part
from obscura.dialects.chat.events import PASSTHROUGH
from obscura.dialects.errors import OpenAIErrorFormat
from obscura.dialects.json.fields import optional_bool, require_image_count, require_part_count, required_string
from obscura.dialects.json.raw import RawJson, RawObject, is_array, is_null, is_string, open_array, open_object
from obscura.dialects.registry import PIVOT
from obscura.errors import InvalidRequest


@dataclass(slots=True)
class ChatRequest:
    """A chat completion request."""

    model: str
    streamed: bool
    body: RawJson
    content: RequestContent = field(default_factory=RequestContent)

    @property
    def images(self) -> Sequence[ImageSlot]:
        """Every image, in request order."""
        return self.content.images

    @property
    def videos(self) -> Sequence[VideoSlot]:
        """Every video, in request order."""
        return self.content.videos

    @property
    def documents(self) -> Sequence[DocumentSlot]:
        """Empty so far: parts with PDFs are rejected."""
        return ()

    @property
    def texts(self) -> Sequence[str]:
        """Every text of the messages, in request order."""
        return self.content.texts

    def check_translatable(self, dialects: Collection[str]) -> None:
        """Accept every request: chat is passed on as it came."""

    def to_upstream(self, dialects: Collection[str] = (PIVOT,)) -> UpstreamBody:
        """Render the request for an upstream that speaks chat, as every one does."""
        return UpstreamBody(PIVOT, self.body.render(), self.streamed, PASSTHROUGH)


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
        "role": {"type": "string", "examples": ["user"]},
        "content": {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 16, "items": _PART}]},
    },
}
REQUEST_SCHEMA: JsonSchema = {
    "type": "object",
    "description": "OpenAI's request; every field that is not named here goes to the upstream untouched.",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string"},
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

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> ChatRequest:
        """Parse a request: model, stream, and the images, videos and texts of its messages."""
        root = body.root
        request = ChatRequest(required_string(body, root, "model"), optional_bool(root, "stream"), body)
        if is_null(root.get("messages")):
            raise InvalidRequest("'messages' is required: an array of at least one message.", param="messages")
        messages = open_array(root["messages"], "messages")
        if not messages:
            raise InvalidRequest("'messages' is empty. Send at least one message.", param="messages")
        root["messages"] = [
            _collect_message(message, f"messages[{index}]", request, limits) for index, message in enumerate(messages)
        ]
        require_image_count(request.images, limits)
        body.check_unread()
        return request


def _collect_message(leaf: Raw, path: str, request: ChatRequest, limits: ContentLimits) -> RawObject:
    message = open_object(leaf, path)
    required_string(request.body, message, "role", path)
    content = message.get("content")
    if is_string(content):
        request.content.texts.append(request.body.text(content))
    elif is_array(content):
        parts = open_array(content, f"{path}.content")
        require_part_count(parts, f"{path}.content", limits)
        message["content"] = [
            collect_part(part, f"{path}.content[{index}]", request.body, request.content)
            for index, part in enumerate(parts)
        ]
    elif not is_null(content):
        raise InvalidRequest(f"'{path}.content' must be a string or an array of parts.", param=f"{path}.content")
    return message
