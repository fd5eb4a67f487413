"""Answers of an upstream that speaks Messages, passed on."""

import re

from obscura.wire.messages.events import error_event
from obscura.wire.passed_through import PassedThrough
from obscura.wire.stream_end import StreamEnd

_IMAGE_TOKENS = ("usage", "image_tokens")

_END = StreamEnd(
    last=re.compile(rb'"type": ?"message_stop"'),
    enough=re.compile(rb'"stop_reason": ?"|"type": ?"error"'),
    marks=(b"message_stop", b'stop_reason":"', b'stop_reason": "', b'"error"'),
)

NATIVE_REPLY = PassedThrough(_IMAGE_TOKENS, (("message", *_IMAGE_TOKENS), _IMAGE_TOKENS), error_event, _END, "content")
"""In a stream the usage stands in message_start's message and in message_delta."""
