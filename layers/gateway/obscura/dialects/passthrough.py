"""Where a stream of events ends by its own word, whatever the connection does then."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from obscura.dialects.base import StreamTranslator
from obscura.dialects.sse import LineSplitter
from obscura.errors import ObscuraError, UpstreamError


@dataclass(frozen=True, slots=True)
class EndMarkers:
    """How a dialect's stream tells, in one of its lines, that it is over.

    last      nothing that matters follows
    enough    the answer is whole, or has failed in so many words: a stream that closes behind it did not break off
    marks     one of these stands in every line that matches either, and is quicker to look for
    """

    last: re.Pattern[bytes]
    enough: re.Pattern[bytes]
    marks: tuple[bytes, ...]


class EndDetector:
    """Watches a stream's whole lines for its end. In a string of the model's, the quotes would be escaped."""

    def __init__(self, end: EndMarkers) -> None:
        """Start before the first line."""
        self._end = end
        self.ended = self.whole = False

    def see(self, lines: bytes) -> None:
        """Take note of some lines."""
        for mark in self._end.marks:
            if mark in lines:
                break
        else:
            return
        self.ended = self.ended or self._end.last.search(lines) is not None
        self.whole = self.whole or self.ended or self._end.enough.search(lines) is not None


type KeyPath = tuple[str, ...]
type ErrorEvent = Callable[[ObscuraError, str], bytes]

_members = msgspec.json.Decoder(dict[str, Raw])
_NULL = Raw(b"null")
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class PassthroughResponse:
    """A reply that is passed on.

    ``in_answer`` and ``in_events`` are the keys that lead to the image tokens, in a whole answer and in a stream's
    events; ``error_event`` writes the event that ends a broken stream, given the error and the request id; ``end`` is
    how a stream says that it is over; ``content`` is the key that every whole answer has, and no error.
    """

    in_answer: KeyPath
    in_events: tuple[KeyPath, ...]
    error_event: ErrorEvent
    end: EndMarkers
    content: str

    def answer(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Return the upstream's answer with the image tokens in its usage.

        Raises UpstreamError when it is no object, or an error that came with the status of a success.
        """
        try:
            fields = _members.decode(upstream_body)
            if self.content not in fields and bytes(fields.get("error", _NULL)) != b"null":
                raise UpstreamError("The upstream failed, and told it as a success. Try again.")
            return _add_image_tokens(upstream_body, fields, (self.in_answer,), image_tokens)
        except _MALFORMED:
            raise UpstreamError("The upstream answered with something other than a JSON object. Try again.") from None

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Open the way for a stream of events."""
        return PassthroughStream(self.in_events, image_tokens, self.error_event, self.end)


class PassthroughStream:
    """A stream on its way through: events that carry a usage get the image tokens, all others pass untouched.

    It leaves in whole lines: an error event behind half a line could not be read.
    """

    def __init__(
        self, in_events: tuple[KeyPath, ...], image_tokens: Sequence[int], error_event: ErrorEvent, end: EndMarkers
    ) -> None:
        """Start before the first event."""
        self._in_events = in_events
        self._image_tokens = image_tokens
        self._error_event = error_event
        self._lines = LineSplitter()
        self._watch = EndDetector(end)

    @property
    def ended(self) -> bool:
        """Whether the upstream has said that the stream is over."""
        return self._watch.ended

    def feed(self, chunk: bytes) -> bytes:
        """Return what is ready to be sent once ``chunk`` has come in."""
        lines = self._lines.feed(chunk)
        self._watch.see(lines)
        if not self._image_tokens or b'"usage"' not in lines:
            return lines
        return b"".join(self._with_tokens(line) for line in lines.splitlines(keepends=True))

    def finish(self) -> bytes:
        """Return what was held back when the upstream has closed; raises UpstreamError when it did so too early."""
        rest = self._lines.finish()
        self._watch.see(rest)
        if not self._watch.whole:
            raise UpstreamError("The upstream's answer broke off before its end. Try again.")
        return self._with_tokens(rest) if self._image_tokens else rest

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return the event that ends a stream which cannot go on."""
        return self._error_event(error, request_id)

    def _with_tokens(self, line: bytes) -> bytes:
        if not line.startswith(b"data:") or b'"usage"' not in line:
            return line
        data = line.removeprefix(b"data:")
        ending = data[len(data.rstrip(b"\r\n")) :]
        try:
            changed = _add_image_tokens(data, _members.decode(data), self._in_events, self._image_tokens)
        except _MALFORMED:
            return line
        return line if changed is data else b"data: %b%b" % (changed, ending)


def _add_image_tokens(
    answer: bytes, fields: dict[str, Raw], places: Sequence[KeyPath], image_tokens: Sequence[int]
) -> bytes:
    """Set the sum of ``image_tokens`` at the first of ``places`` whose objects are there, in ``fields`` of ``answer``.

    An object of details is made where it is missing; without any such place, or without images, ``answer`` itself is
    given back.
    """
    if not image_tokens or not any(_set(fields, keys, sum(image_tokens)) for keys in places):
        return answer
    return msgspec.json.encode(fields)


def _set(fields: dict[str, Raw], keys: KeyPath, count: int) -> bool:
    key, *inner_keys = keys
    if not inner_keys:
        fields[key] = Raw(b"%d" % count)
        return True
    inner = _object(fields.get(key))
    if inner is None and key.endswith("_details"):
        inner = {}
    if inner is None or not _set(inner, tuple(inner_keys), count):
        return False
    fields[key] = Raw(msgspec.json.encode(inner))
    return True


def _object(leaf: Raw | None) -> dict[str, Raw] | None:
    return _members.decode(leaf) if leaf is not None and memoryview(leaf)[0] == ord("{") else None
