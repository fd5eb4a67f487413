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


class NumberedStream:
    """A stream of events on its way through, whose last number is known."""

    def __init__(self, image_tokens: Sequence[int]) -> None:
        """Start before the first event."""
        self._events = PassedStream(_IN_EVENTS, image_tokens, lambda error, _: error_event(error, self._next_number))
        self._next_number = 0
        self._seen = b""

    def feed(self, chunk: bytes) -> bytes:
        """Give what is ready to be sent once ``chunk`` has come in."""
        self._count(chunk)
        return self._events.feed(chunk)

    def finish(self) -> bytes:
        """Give what was held back when the upstream has ended the stream."""
        return self._events.finish()

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Give the error, numbered after the last event that came in."""
        return self._events.fail(error, request_id)

    def _count(self, chunk: bytes) -> None:
        """Remember the last event's number; in a string of the model's its quotes would be escaped."""
        seen = self._seen + chunk
        for found in _NUMBER.finditer(seen):
            self._next_number = int(found[1]) + 1
        self._seen = seen[-_LONGEST_NUMBER:]


class NativeReply(PassedThrough):
    """A response passed on; an error that ends its stream goes on with the upstream's numbers."""

    def passage(self, image_tokens: Sequence[int]) -> StreamPassage:
        """Open the way for a stream of events."""
        return NumberedStream(image_tokens)


NATIVE_REPLY = NativeReply(_IMAGE_TOKENS, _IN_EVENTS, lambda error, _: error_event(error, 0))
