"""What the pipeline may ask of a dialect; it never learns which one it serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from obscura.errors import ObscuraError
from obscura.wire.raw_body import RawBody, RawObject, raw_string


@dataclass(frozen=True, slots=True)
class ContentLimits:
    """How much one request may carry."""

    images: int = 16
    content_parts: int = 16


@dataclass(frozen=True, slots=True)
class ImageSlot:
    """One place in a request where a picture stands, and its replacement once it is prepared.

    ``path`` is the JSON path that an error's ``param`` names; ``source`` is the string as sent, between its quotes and
    with its JSON escapes: a data URL (maybe 20 MB of it: a view), an HTTPS URL, or anything else a caller thinks of.
    """

    path: str
    source: memoryview
    detail: str
    holder: RawObject
    key: str

    def replace(self, data_url: bytes) -> None:
        """Put a prepared picture, an ASCII data URL, where the caller's was."""
        self.holder[self.key] = raw_string(data_url)


class StreamPassage(Protocol):
    """The way of one streamed answer from the upstream to the caller."""

    def feed(self, chunk: bytes) -> bytes:
        """Give what is ready to be sent once ``chunk`` has come in; at most one unfinished line is held back."""
        ...

    def finish(self) -> bytes:
        """Give what was held back when the upstream has ended the stream."""
        ...


class Reply(Protocol):
    """How the upstream's answer to one request is told to its caller."""

    def answer(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Write the upstream's whole answer for the caller; raises UpstreamError when it is not what it should be."""
        ...

    def passage(self, image_tokens: Sequence[int]) -> StreamPassage:
        """Open the way for a streamed answer."""
        ...


@dataclass(frozen=True, slots=True)
class Outbound:
    """A request as it goes upstream: ``path`` is below the upstream's base URL."""

    path: str
    body: bytes
    streamed: bool
    reply: Reply


class Ask(Protocol):
    """A parsed request. It holds the body that arrived: let go of it once the outbound request is made."""

    @property
    def model(self) -> str:
        """The model that is asked for."""
        ...

    @property
    def streamed(self) -> bool:
        """Whether the answer is to come as server-sent events."""
        ...

    @property
    def image_slots(self) -> Sequence[ImageSlot]:
        """Every picture, in request order."""
        ...

    @property
    def texts(self) -> Sequence[str]:
        """Every text that moderation is to read, in request order."""
        ...

    def outbound(self) -> Outbound:
        """Write the request for the upstream, with the slots' replacements in place and all else as it came."""
        ...


class Dialect(Protocol):
    """One API family as it looks on the wire."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    def parse(self, body: RawBody, limits: ContentLimits) -> Ask:
        """Read a request; raises the errors of the design's table, each with the JSON path as its param."""
        ...

    def render_error(self, error: ObscuraError, request_id: str) -> bytes:
        """Write an error as a body."""
        ...

    def render_error_event(self, error: ObscuraError, request_id: str) -> bytes:
        """Write an error as the last event of a stream that has begun."""
        ...
