"""OpenAI chat completions: the request, read only where images and text stand; the answer, passed on."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from msgspec import Raw

from obscura.dialects.base import ContentLimits, ImageSlot, ParsedRequest, UpstreamBody, VideoSlot
from obscura.dialects.chat.content import RequestContent, collect_part
from obscura.dialects.errors import OpenAIErrorFormat, openai_error
from obscura.dialects.json.fields import optional_bool, require_image_count, require_part_count, required_text
from obscura.dialects.json.raw import RawJson, RawObject, is_array, is_null, is_string, open_array, open_object
from obscura.dialects.passthrough import EndMarkers, PassthroughResponse
from obscura.dialects.sse import data_event
from obscura.errors import InvalidRequest, ObscuraError

_IMAGE_TOKENS = ("usage", "prompt_tokens_details", "image_tokens")


def error_event(error: ObscuraError, request_id: str) -> bytes:
    """Write an error as the last event of a stream: a chunk that OpenAI's SDKs raise as an APIError."""
    return data_event(openai_error(error))


# Some servers leave [DONE] out.
_END_MARKERS = EndMarkers(
    last=re.compile(rb"^data: ?\[DONE\]", re.MULTILINE),
    enough=re.compile(rb'"finish_reason": ?"|^data: ?\{"error"', re.MULTILINE),
    marks=(b"[DONE]", b'finish_reason":"', b'finish_reason": "', b'{"error"'),
)
PASSTHROUGH = PassthroughResponse(_IMAGE_TOKENS, (_IMAGE_TOKENS,), error_event, _END_MARKERS, "choices")


@dataclass(slots=True)
class ChatRequest:
    """A chat completion request."""

    model: str
    streamed: bool
    body: RawJson
    found: RequestContent = field(default_factory=RequestContent)

    @property
    def image_slots(self) -> Sequence[ImageSlot]:
        """Every image, in request order."""
        return self.found.image_slots

    @property
    def video_slots(self) -> Sequence[VideoSlot]:
        """Every video, in request order."""
        return self.found.video_slots

    @property
    def texts(self) -> Sequence[str]:
        """Every text, in request order."""
        return self.found.texts

    def check_translatable(self, dialects: Collection[str]) -> None:
        """Find nothing to refuse: chat is passed on as it came."""

    def to_upstream(self, dialects: Collection[str] = ("chat",)) -> UpstreamBody:
        """Write the request for an upstream that speaks chat, as every one does."""
        return UpstreamBody("/chat/completions", self.body.render(), self.streamed, PASSTHROUGH)


class ChatDialect(OpenAIErrorFormat):
    """``POST /v1/chat/completions`` (OpenAI's API reference, "Create chat completion")."""

    name = "chat"

    def parse(self, body: RawJson, limits: ContentLimits) -> ParsedRequest:
        """Read a request: model, stream, and the messages' images and texts."""
        root = body.root
        ask = ChatRequest(required_text(body, root, "model"), optional_bool(root, "stream"), body)
        if is_null(root.get("messages")):
            raise InvalidRequest("'messages' is required: an array of at least one message.", param="messages")
        messages = open_array(root["messages"], "messages")
        if not messages:
            raise InvalidRequest("'messages' is empty. Send at least one message.", param="messages")
        root["messages"] = [
            _collect_message(message, f"messages[{index}]", ask, limits) for index, message in enumerate(messages)
        ]
        require_image_count(ask.image_slots, limits)
        body.check_unread()
        return ask


def _collect_message(leaf: Raw, path: str, ask: ChatRequest, limits: ContentLimits) -> RawObject:
    message = open_object(leaf, path)
    required_text(ask.body, message, "role", path)
    content = message.get("content")
    if is_null(content):
        return message
    if is_string(content):
        ask.found.texts.append(ask.body.text(content))
    elif is_array(content):
        parts = open_array(content, f"{path}.content")
        require_part_count(parts, f"{path}.content", limits)
        message["content"] = [
            collect_part(part, f"{path}.content[{index}]", ask.body, ask.found) for index, part in enumerate(parts)
        ]
    else:
        raise InvalidRequest(f"'{path}.content' must be a string or an array of parts.", param=f"{path}.content")
    return message
