"""The events of a Messages stream (Anthropic's documentation, "Streaming Messages")."""

import re

import msgspec

from obscura.dialects.errors import anthropic_error
from obscura.dialects.messages.response import Block, DeltaUsage, Message
from obscura.dialects.passthrough import EndMarkers, PassthroughResponse
from obscura.dialects.sse import format_event
from obscura.errors import ObscuraError


class MessageStart(msgspec.Struct, tag_field="type", tag="message_start"):
    """The first event: the message without content."""

    message: Message


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """An event without content."""


class BlockStart(msgspec.Struct, tag_field="type", tag="content_block_start"):
    """The start of a block, without content."""

    index: int
    content_block: Block


class TextDelta(msgspec.Struct, tag_field="type", tag="text_delta"):
    """More text."""

    text: str


class ThinkingDelta(msgspec.Struct, tag_field="type", tag="thinking_delta"):
    """More thinking."""

    thinking: str


class SignatureDelta(msgspec.Struct, tag_field="type", tag="signature_delta"):
    """The signature at the end of thinking."""

    signature: str


class InputJsonDelta(msgspec.Struct, tag_field="type", tag="input_json_delta"):
    """More of a tool call's input, as JSON text."""

    partial_json: str


type Delta = TextDelta | ThinkingDelta | SignatureDelta | InputJsonDelta


class BlockDelta(msgspec.Struct, tag_field="type", tag="content_block_delta"):
    """More of the open block."""

    index: int
    delta: Delta


class BlockStop(msgspec.Struct, tag_field="type", tag="content_block_stop"):
    """The end of the open block."""

    index: int


class StopDelta(msgspec.Struct):
    """Why the model stopped."""

    stop_reason: str
    stop_sequence: str | None
    stop_details: None = None
    container: None = None


class MessageDelta(msgspec.Struct, tag_field="type", tag="message_delta"):
    """The end of the message: the stop reason, and the usage in all."""

    delta: StopDelta
    usage: DeltaUsage


class MessageStop(msgspec.Struct, tag_field="type", tag="message_stop"):
    """The last event."""


type Event = MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop


def encode_event(event: Event) -> bytes:
    """Encode and frame one event."""
    return format_event(msgspec.json.encode(event), str(event.__struct_config__.tag))


def error_event(error: ObscuraError, request_id: str) -> bytes:
    """Render the event that ends a broken stream, and that Anthropic's SDKs raise as an APIStatusError."""
    return format_event(anthropic_error(error, request_id), "error")


_END_MARKERS = EndMarkers(
    terminal=re.compile(rb'"type": ?"message_stop"'),
    sufficient=re.compile(rb'"stop_reason": ?"|"type": ?"error"'),
    hints=(b"message_stop", b'stop_reason":"', b'stop_reason": "', b'"error"'),
)
_TOKEN_PATH = ("usage", "image_tokens")
# In a stream the usage is in the message of message_start, and in message_delta.
_EVENT_TOKEN_PATHS = (("message", *_TOKEN_PATH), _TOKEN_PATH)

PASSTHROUGH = PassthroughResponse(_TOKEN_PATH, _EVENT_TOKEN_PATHS, error_event, _END_MARKERS, "content")
