"""Answers of an upstream that speaks Responses, passed on."""

import re
from collections.abc import Sequence

from obscura.errors import ObscuraError
from obscura.wire.dialect import StreamPassage
from obscura.wire.passed_through import PassedStream, PassedThrough
from obscura.wire.responses.error_event import error_event
from obscura.wire.stream_end import StreamEnd

_IMAGE_TOKENS = ("usage", "input_tokens_details", "image_tokens")
_IN_EVENTS = (("response", *_IMAGE_TOKENS),)
_END = StreamEnd(
    last=re.compile(rb'"type": ?"response\.(?:completed|incomplete|failed|cancelled)"'),
    enough=re.compile(rb'"type": ?"error"'),
    marks=(b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled", b'"error"'),
)
_NUMBER = re.compile(rb'"sequence_number":\s*(\d{1,15})(?=\D)')


class NumberedStream:
    """A stream of events on its way through, whose last number is known."""

    def __init__(self, image_tokens: Sequence[int]) -> None:
        """Start before the first event."""
        self._events = PassedStream(
            _IN_EVENTS, image_tokens, lambda error, _: error_event(error, self._next_number), _END
        )
        self._next_number = 0

    @property
    def ended(self) -> bool:
        """Whether the upstream has said that the response is over."""
        return self._events.ended

    def feed(self, chunk: bytes) -> bytes:
        """Give what is ready to be sent once ``chunk`` has come in."""
        ready = self._events.feed(chunk)
        for found in _NUMBER.finditer(ready):
            self._next_number = int(found[1]) + 1
        return ready

    def finish(self) -> bytes:
        """Give what was held back when the upstream has ended the stream."""
        return self._events.finish()

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Give the error, numbered after the last event that went out."""
        return self._events.fail(error, request_id)


class NativeReply(PassedThrough):
    """A response passed on; an error that ends its stream goes on with the upstream's numbers."""

    def passage(self, image_tokens: Sequence[int]) -> StreamPassage:
        """Open the way for a stream of events."""
        return NumberedStream(image_tokens)


NATIVE_REPLY = NativeReply(_IMAGE_TOKENS, _IN_EVENTS, lambda error, _: error_event(error, 0), _END, "output")
