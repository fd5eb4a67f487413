"""Responses that pass through, from an upstream in the caller's own dialect: only the image tokens are added."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from obscura.dialects.base import StreamTranslator
from obscura.dialects.json.raw import NULL
from obscura.dialects.reported_errors import read_reported_fields
from obscura.dialects.sse import LineSplitter
from obscura.errors import ObscuraError, UpstreamError
from obscura.masking import masked, masked_values


@dataclass(frozen=True, slots=True)
class EndMarkers:
    """How a dialect's stream shows, in one of its lines, that it is over.

    terminal      nothing that matters follows
    sufficient    the response is complete, or has failed in so many words: a stream that closes after it is no error
    hints         one of these is in every line that matches either, and is faster to find
    """

    terminal: re.Pattern[bytes]
    sufficient: re.Pattern[bytes]
    hints: tuple[bytes, ...]


class EndDetector:
    """Looks for the end of a stream in its whole lines. In a string of the model's, the quotes would be escaped."""

    def __init__(self, markers: EndMarkers) -> None:
        self._markers = markers
        self.terminal_seen = self.sufficient_seen = False

    def observe(self, lines: bytes) -> None:
        """Look at some more lines."""
        for hint in self._markers.hints:
            if hint in lines:
                break
        else:
            return
        self.terminal_seen = self.terminal_seen or self._markers.terminal.search(lines) is not None
        self.sufficient_seen = (
            self.sufficient_seen or self.terminal_seen or self._markers.sufficient.search(lines) is not None
        )


type KeyPath = tuple[str, ...]
type ErrorEvent = Callable[[ObscuraError, str], bytes]

_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class PassthroughResponse:
    """The ResponseTranslator of a dialect's own responses.

    ``token_path`` and ``event_token_paths`` are the keys that lead to the image tokens, in a whole response and in a
    stream's events. ``error_event`` renders the event that ends a broken stream, from the error and the request id.
    ``content_key`` is the key that every whole response has, and no error.
    """

    token_path: KeyPath
    event_token_paths: tuple[KeyPath, ...]
    error_event: ErrorEvent
    end_markers: EndMarkers
    content_key: str

    def translate(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Return the upstream's response with the image tokens in its usage.

        Raises UpstreamError if it is no object, or is an error that came with status 200.
        """
        try:
            fields = _object_decoder.decode(upstream_body)
            if self.content_key not in fields and fields.get("error", NULL) != NULL:
                failure = UpstreamError("The upstream failed, but answered with status 200. Try again.")
                raise read_reported_fields(bytes(fields["error"])).add_to(failure)
            if fields.get("error", NULL) != NULL:
                fields["error"] = _masked_error(fields["error"])
                upstream_body = msgspec.json.encode(fields)
            return _add_image_tokens(upstream_body, fields, (self.token_path,), image_tokens)
        except _MALFORMED:
            raise UpstreamError("The upstream answered with something other than a JSON object. Try again.") from None

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Return the translator of a stream of events."""
        return PassthroughStream(self.event_token_paths, image_tokens, self.error_event, self.end_markers)


class PassthroughStream:
    """Passes a stream of events on; those that carry a usage get the image tokens, all others stay untouched.

    It passes whole lines only: an error event after half a line could not be read.
    """

    def __init__(
        self,
        event_token_paths: tuple[KeyPath, ...],
        image_tokens: Sequence[int],
        error_event: ErrorEvent,
        end_markers: EndMarkers,
    ) -> None:
        self._event_token_paths = event_token_paths
        self._image_tokens = image_tokens
        self._error_event = error_event
        self._lines = LineSplitter()
        self._end = EndDetector(end_markers)

    @property
    def complete(self) -> bool:
        """Whether the upstream has said that the stream is over."""
        return self._end.terminal_seen

    def feed(self, chunk: bytes) -> bytes:
        """Return the lines that are whole after ``chunk``."""
        lines = self._lines.feed(chunk)
        self._end.observe(lines)
        if b'"error"' in lines:
            lines = b"".join(map(_with_masked_error, lines.splitlines(keepends=True)))
        if not self._image_tokens or b'"usage"' not in lines:
            return lines
        return b"".join(self._with_tokens(line) for line in lines.splitlines(keepends=True))

    def finish(self) -> bytes:
        """Return what was held back, at the end of the upstream's stream; raises UpstreamError if it ended early."""
        rest = self._lines.finish()
        self._end.observe(rest)
        if not self._end.sufficient_seen:
            raise UpstreamError("The upstream's answer broke off before its end. Try again.")
        rest = _with_masked_error(rest)
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
            fields = _object_decoder.decode(data)
            changed = _add_image_tokens(data, fields, self._event_token_paths, self._image_tokens)
        except _MALFORMED:
            return line
        return line if changed is data else b"data: %b%b" % (changed, ending)


def _with_masked_error(line: bytes) -> bytes:
    """Mask the strings of the error in one line of a stream; any other line stays as it is.

    It stands under ``error``, under ``response.error`` (Responses, "response.failed"), or is the event itself
    (Responses, "error").
    """
    if not line.startswith(b"data:") or b'"error"' not in line:
        return line
    data = line.removeprefix(b"data:")
    try:
        event = _object_decoder.decode(data)
        response = _open(event.get("response"))
        holders = [event] if response is None else [event, response]
        found = [holder for holder in holders if holder.get("error", NULL) != NULL]
        for holder in found:
            holder["error"] = _masked_error(holder["error"])
        if response is not None and found:
            event["response"] = Raw(msgspec.json.encode(response))
        if event.get("type") == _ERROR_TYPE and "message" in event:
            event["message"] = _masked_error(event["message"])
            found.append(event)
    except _MALFORMED:
        return b"data: %b\n" % masked(data.decode("utf-8", "replace")).encode()
    if not found:
        return line
    return b"data: %b%b" % (msgspec.json.encode(event), data[len(data.rstrip(b"\r\n")) :])


_ERROR_TYPE = Raw(b'"error"')


def _masked_error(error: Raw) -> Raw:
    return Raw(msgspec.json.encode(masked_values(msgspec.json.decode(error))))


def _add_image_tokens(
    response: bytes, fields: dict[str, Raw], paths: Sequence[KeyPath], image_tokens: Sequence[int]
) -> bytes:
    """Set the sum of ``image_tokens`` at the first of ``paths`` whose objects exist in ``fields`` of ``response``.

    An object of details is made if it is missing. Without any such path, or without images, ``response`` itself is
    returned.
    """
    if not image_tokens or not any(_set(fields, path, sum(image_tokens)) for path in paths):
        return response
    return msgspec.json.encode(fields)


def _set(fields: dict[str, Raw], path: KeyPath, count: int) -> bool:
    key, *inner_path = path
    if not inner_path:
        fields[key] = Raw(b"%d" % count)
        return True
    inner = _open(fields.get(key))
    if inner is None and key.endswith("_details"):
        inner = {}
    if inner is None or not _set(inner, tuple(inner_path), count):
        return False
    fields[key] = Raw(msgspec.json.encode(inner))
    return True


def _open(leaf: Raw | None) -> dict[str, Raw] | None:
    return _object_decoder.decode(leaf) if leaf is not None and memoryview(leaf)[0] == ord("{") else None
