"""OpenAI chat completions: the request, read only where pictures and text stand; the answer, passed on."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from msgspec import Raw

from obscura.errors import InvalidRequest, ObscuraError
from obscura.wire.chat_parts import Found, open_part
from obscura.wire.dialect import Ask, ContentLimits, ImageSlot, Outbound, VideoSlot
from obscura.wire.error_shapes import OpenAIShape, openai_error
from obscura.wire.fields import check_image_count, check_part_count, flag, required_text
from obscura.wire.passed_through import PassedThrough
from obscura.wire.raw_body import (
    RawBody,
    RawObject,
    is_array,
    is_null,
    is_string,
    items,
    members,
)
from obscura.wire.sse import data_event
from obscura.wire.stream_end import StreamEnd

_IMAGE_TOKENS = ("usage", "prompt_tokens_details", "image_tokens")


def error_chunk(error: ObscuraError, request_id: str) -> bytes:
    """Write an error as the last event of a stream: a chunk that OpenAI's SDKs raise as an APIError."""
    return data_event(openai_error(error))


# Some servers leave [DONE] out.
_END = StreamEnd(
    last=re.compile(rb"^data: ?\[DONE\]", re.MULTILINE),
    enough=re.compile(rb'"finish_reason": ?"|^data: ?\{"error"', re.MULTILINE),
    marks=(b"[DONE]", b'finish_reason":"', b'finish_reason": "', b'{"error"'),
)
CHAT_REPLY = PassedThrough(_IMAGE_TOKENS, (_IMAGE_TOKENS,), error_chunk, _END, "choices")


@dataclass(slots=True)
class ChatAsk:
    """A chat completion request."""

    model: str
    streamed: bool
    body: RawBody
    found: Found = field(default_factory=Found)

    @property
    def image_slots(self) -> Sequence[ImageSlot]:
        """Every picture, in request order."""
        return self.found.image_slots

    @property
    def video_slots(self) -> Sequence[VideoSlot]:
        """Every video, in request order."""
        return self.found.video_slots

    @property
    def texts(self) -> Sequence[str]:
        """Every text, in request order."""
        return self.found.texts

    def check_carried(self, dialects: Collection[str]) -> None:
        """Find nothing to refuse: chat is passed on as it came."""

    def outbound(self, dialects: Collection[str] = ("chat",)) -> Outbound:
        """Write the request for an upstream that speaks chat, as every one does."""
        return Outbound("/chat/completions", self.body.render(), self.streamed, CHAT_REPLY)


class ChatDialect(OpenAIShape):
    """``POST /v1/chat/completions`` (OpenAI's API reference, "Create chat completion")."""

    name = "chat"

    def parse(self, body: RawBody, limits: ContentLimits) -> Ask:
        """Read a request: model, stream, and the messages' pictures and texts."""
        root = body.root
        ask = ChatAsk(required_text(body, root, "model"), flag(root, "stream"), body)
        if is_null(root.get("messages")):
            raise InvalidRequest("'messages' is required: an array of at least one message.", param="messages")
        messages = items(root["messages"], "messages")
        if not messages:
            raise InvalidRequest("'messages' is empty. Send at least one message.", param="messages")
        root["messages"] = [
            _open_message(message, f"messages[{index}]", ask, limits) for index, message in enumerate(messages)
        ]
        check_image_count(ask.image_slots, limits)
        body.check_unread()
        return ask


def _open_message(leaf: Raw, path: str, ask: ChatAsk, limits: ContentLimits) -> RawObject:
    message = members(leaf, path)
    required_text(ask.body, message, "role", path)
    content = message.get("content")
    if is_null(content):
        return message
    if is_string(content):
        ask.found.texts.append(ask.body.text(content))
    elif is_array(content):
        parts = items(content, f"{path}.content")
        check_part_count(parts, f"{path}.content", limits)
        message["content"] = [
            open_part(part, f"{path}.content[{index}]", ask.body, ask.found) for index, part in enumerate(parts)
        ]
    else:
        raise InvalidRequest(f"'{path}.content' must be a string or an array of parts.", param=f"{path}.content")
    return message
