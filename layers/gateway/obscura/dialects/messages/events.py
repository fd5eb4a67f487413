"""The events of a Messages stream (Anthropic's documentation, "Streaming Messages")."""

import re

import msgspec

from obscura.dialects.errors import anthropic_error
from obscura.dialects.messages.response import Block, Message, Usage
from obscura.dialects.passthrough import EndMarkers, PassthroughResponse
from obscura.errors import ObscuraError


class MessageStart(msgspec.Struct, tag_field="type", tag="message_start"):
    """The first event: the message without content."""

    message: Message


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """Says nothing."""


class BlockStart(msgspec.Struct, tag_field="type", tag="content_block_start"):
    """A block begins, empty."""

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
    """The open block is complete."""

    index: int


class StopDelta(msgspec.Struct):
    """Why the model stopped."""

    stop_reason: str
    stop_sequence: str | None


class MessageDelta(msgspec.Struct, tag_field="type", tag="message_delta"):
    """The end of the message: why, and the usage in all."""

    delta: StopDelta
    usage: Usage


class MessageStop(msgspec.Struct, tag_field="type", tag="message_stop"):
    """The last event."""


type Event = MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop


def named_event(name: str, data: bytes) -> bytes:
    """Frame one event with its name; ``data`` is one line."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def encode_event(event: Event) -> bytes:
    """Write one event."""
    return named_event(str(event.__struct_config__.tag), msgspec.json.encode(event))


def error_event(error: ObscuraError, request_id: str) -> bytes:
    """Write the event that ends a broken stream, and that Anthropic's SDKs raise as an APIStatusError."""
    return named_event("error", anthropic_error(error, request_id))


_IMAGE_TOKENS = ("usage", "image_tokens")

_END_MARKERS = EndMarkers(
    last=re.compile(rb'"type": ?"message_stop"'),
    enough=re.compile(rb'"stop_reason": ?"|"type": ?"error"'),
    marks=(b"message_stop", b'stop_reason":"', b'stop_reason": "', b'"error"'),
)

PASSTHROUGH = PassthroughResponse(
    _IMAGE_TOKENS, (("message", *_IMAGE_TOKENS), _IMAGE_TOKENS), error_event, _END_MARKERS, "content"
)
"""In a stream the usage stands in message_start's message and in message_delta."""
