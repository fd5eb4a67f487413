"""Responses of upstreams that speak this dialect, passed through."""

import re
from collections.abc import Sequence

from obscura.dialects.base import StreamTranslator
from obscura.dialects.passthrough import EndMarkers, PassthroughResponse, PassthroughStream
from obscura.dialects.responses.events import error_event
from obscura.errors import ObscuraError

_IMAGE_TOKENS = ("usage", "input_tokens_details", "image_tokens")
_IMAGE_TOKENS_IN_EVENTS = (("response", *_IMAGE_TOKENS),)
_END_MARKERS = EndMarkers(
    terminal=re.compile(rb'"type": ?"response\.(?:completed|incomplete|failed|cancelled)"'),
    sufficient=re.compile(rb'"type": ?"error"'),
    hints=(b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled", b'"error"'),
)
_SEQUENCE_NUMBER = re.compile(rb'"sequence_number":\s*(\d{1,15})(?=\D)')


class SequencedPassthroughStream:
    """A native stream passed through, with the sequence number of its last event."""

    def __init__(self, image_tokens: Sequence[int]) -> None:
        self._events = PassthroughStream(
            _IMAGE_TOKENS_IN_EVENTS, image_tokens, lambda error, _: error_event(error, self._next_number), _END_MARKERS
        )
        self._next_number = 0

    @property
    def complete(self) -> bool:
        """Whether the upstream has ended the response."""
        return self._events.complete

    def feed(self, chunk: bytes) -> bytes:
        """Return the lines that ``chunk`` completes."""
        ready = self._events.feed(chunk)
        for match in _SEQUENCE_NUMBER.finditer(ready):
            self._next_number = int(match[1]) + 1
        return ready

    def finish(self) -> bytes:
        """Return the line that was held back until the upstream closed the stream."""
        return self._events.finish()

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return the error event, numbered after the last event sent."""
        return self._events.fail(error, request_id)


class NativeTranslator(PassthroughResponse):
    """A native response passed through; an error that ends its stream continues the upstream's numbering."""

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Return the translator of one stream."""
        return SequencedPassthroughStream(image_tokens)


PASSTHROUGH = NativeTranslator(
    _IMAGE_TOKENS, _IMAGE_TOKENS_IN_EVENTS, lambda error, _: error_event(error, 0), _END_MARKERS, "output"
)
