"""The first event of a stream: whether an answer has begun, or the upstream has failed after its head."""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from obscura.dialects.reported_errors import ReportedError, read_reported, read_reported_fields
from obscura.errors import ObscuraError, RateLimitExceeded, UpstreamError, UpstreamUnavailable

MAX_HELD_BYTES = 256 * 1024
"""An event that is longer than any error is an answer."""

_DATA = re.compile(rb"^data:[ \t]*([^\r\n]+)\r?\n", re.MULTILINE)
_NO_CONTENT = re.compile(rb'^\{\s*"type"\s*:\s*"(?:ping|keepalive)"')
_MAY_FAIL = re.compile(rb'"error"|"response\.failed"')
_DONE = b"[DONE]"
_ABOUT_REQUEST = frozenset(
    {"invalid_request_error", "invalid_request", "not_found_error", "request_too_large", "context_length_exceeded"}
)
_REQUEST_STATUSES = frozenset({400, 404, 413, 422})
_OVERLOADED = frozenset({"overloaded_error", "server_is_overloaded", "overloaded"})
_RATE_LIMITED = frozenset({"rate_limit_error", "rate_limit_exceeded"})


class _Event(msgspec.Struct):
    """What an error event has, in any dialect; ``response`` is that of Responses' ``response.failed``."""

    type: Any = None
    error: msgspec.Raw = msgspec.Raw(b"null")
    response: Any = None
    code: Any = None


_events = msgspec.json.Decoder(_Event, strict=False)


@dataclass(slots=True)
class FirstEvent:
    """Reads the events of a stream's beginning, whole lines as they are sent on."""

    held: bytearray = field(default_factory=bytearray)

    def feed(self, events: bytes) -> bool:
        """Whether an answer has begun with what was fed so far; raises the error of an error event.

        Comments and pings are no answer, nor is the end of the stream. An error that concerns the request itself is
        one: no other upstream would answer it otherwise.
        """
        self.held += events
        if len(self.held) > MAX_HELD_BYTES:
            return True
        for found in _DATA.finditer(events):  # lines come whole, so that none is read twice
            data = found[1].strip()
            if data == _DONE:
                raise nothing_came()
            if _NO_CONTENT.match(data):
                continue
            error = _failure(data) if _MAY_FAIL.search(data) else None
            if error is not None:
                raise error
            return True
        return False


def nothing_came() -> UpstreamError:
    """Return the error for a stream that ended without an event."""
    return UpstreamError("The upstream ended its response before it had begun. Try again.")


def _failure(data: bytes) -> ObscuraError | None:
    """Return the error of an event, None if it is no error or one about the request."""
    try:
        event = _events.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if event.type == "response.failed" and isinstance(event.response, dict):
        reported = read_reported(msgspec.json.encode({"error": event.response.get("error")}))
        status: object = None
    elif bytes(event.error) != b"null":
        reported = read_reported(data)
        status = _code(event.error)
    elif event.type == "error":
        reported, status = read_reported_fields(data), event.code
    else:
        return None
    if status in _REQUEST_STATUSES or not _ABOUT_REQUEST.isdisjoint({reported.code, reported.type}):
        return None
    return reported.add_to(_error_of(reported))


def _error_of(reported: ReportedError) -> ObscuraError:
    names = {reported.code, reported.type}
    if not _RATE_LIMITED.isdisjoint(names):
        return RateLimitExceeded("The upstream model is at its rate limit. Wait and try again.", retry_after_s=1)
    if not _OVERLOADED.isdisjoint(names):
        return UpstreamUnavailable("The upstream model is overloaded. Wait and try again.")
    return UpstreamError("The upstream failed before its answer began. Try again.")


def _code(error: msgspec.Raw) -> object:
    try:
        return _events.decode(error).code
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
