"""Answers of an upstream that speaks Responses, passed on."""

import re
from collections.abc import Sequence

from obscura.errors import ObscuraError
from obscura.wire.dialect import StreamPassage
from obscura.wire.passed_through import PassedStream, PassedThrough
from obscura.wire.responses.error_event import error_event

_IMAGE_TOKENS = ("usage", "input_tokens_details", "image_tokens")
_IN_EVENTS = (("response", *_IMAGE_TOKENS),)
_NUMBER = re.compile(rb'"sequence_number":\s*(\d{1,15})(?=\D)')
_LONGEST_NUMBER = 48


class NumberedStream(PassedStream):
    """A stream of events on its way through, whose last number is known."""

    def __init__(self, image_tokens: Sequence[int]) -> None:
        """Start before the first event."""
        super().__init__(_IN_EVENTS, image_tokens, self._error_event)
        self._next_number = 0
        self._seen = b""

    def feed(self, chunk: bytes) -> bytes:
        """Give what is ready to be sent once ``chunk`` has come in."""
        self._count(chunk)
        return super().feed(chunk)

    def _count(self, chunk: bytes) -> None:
        """Remember the last event's number; in a string of the model's its quotes would be escaped."""
        seen = self._seen + chunk
        for found in _NUMBER.finditer(seen, max(0, seen.rfind(b'"sequence_number"'))):
            self._next_number = int(found[1]) + 1
        self._seen = seen[-_LONGEST_NUMBER:]

    def _error_event(self, error: ObscuraError, request_id: str) -> bytes:
        return error_event(error, self._next_number)


class NativeReply(PassedThrough):
    """A response passed on; an error that ends its stream is numbered after the last event that went through."""

    def __init__(self) -> None:
        """Say where a response has its image tokens."""
        super().__init__(_IMAGE_TOKENS, _IN_EVENTS, lambda error, _: error_event(error, 0))

    def passage(self, image_tokens: Sequence[int]) -> StreamPassage:
        """Open the way for a stream of events."""
        return NumberedStream(image_tokens)
