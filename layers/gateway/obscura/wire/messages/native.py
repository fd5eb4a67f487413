"""Answers of an upstream that speaks Messages, passed on."""

from obscura.wire.messages.events import error_event
from obscura.wire.passed_through import PassedThrough

_IMAGE_TOKENS = ("usage", "image_tokens")

NATIVE_REPLY = PassedThrough(_IMAGE_TOKENS, (("message", *_IMAGE_TOKENS), _IMAGE_TOKENS), error_event)
"""In a stream the usage stands in message_start's message and in message_delta."""
