"""What the pipeline may ask of a dialect; it never learns which one it serves."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from obscura.dialects.errors import ErrorFormat
from obscura.dialects.json.raw import RawJson
from obscura.errors import ObscuraError


@dataclass(frozen=True, slots=True)
class ContentLimits:
    """How much one request may carry."""

    images: int = 16
    content_parts: int = 16


_FILE_ID = re.compile(r"file_[0-9a-f]{36}")
_UPLOAD_ID = re.compile(r"upload_[0-9a-f]{36}")


def is_file_id(text: str) -> bool:
    """Whether a text has the form of a stored file's id; only such a one may become part of a name or key."""
    return _FILE_ID.fullmatch(text) is not None


def is_upload_id(text: str) -> bool:
    """Whether a text has the form of an upload's id."""
    return _UPLOAD_ID.fullmatch(text) is not None


class SourceKind(Enum):
    """What a slot's source is written as."""

    URL = "url"
    """An https URL or a data URL; the string itself tells."""
    BASE64 = "base64"
    FILE_ID = "file id"


@dataclass(frozen=True, slots=True)
class ImageSlot:
    """One place in a request where an image stands, and its replacement once it is prepared.

    ``path`` is the JSON path that an error's ``param`` names; ``source`` is the string as sent, between its quotes and
    with its JSON escapes, maybe 20 MB of it: a view. ``replace`` takes a prepared image, an ASCII data URL, and puts
    it where the caller's was.
    """

    path: str
    source: memoryview
    detail: str
    replace: Callable[[bytes], None]
    kind: SourceKind = SourceKind.URL


@dataclass(frozen=True, slots=True)
class VideoSlot:
    """One place in a request where a video stands; as with ImageSlot, ``source`` is an https URL or a data URL."""

    path: str
    source: memoryview
    replace: Callable[[bytes], None]


class StreamTranslator(Protocol):
    """The way of one streamed answer from the upstream to the caller."""

    @property
    def ended(self) -> bool:
        """Whether the upstream has said that the answer is complete: whatever happens behind that is no failure."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Return what is ready to be sent once ``chunk`` has come in; at most one unfinished line is held back."""
        ...

    def finish(self) -> bytes:
        """Return what was held back when the upstream has closed; raises UpstreamError when it did so too early."""
        ...

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return what ends a stream that cannot go on: the dialect's error event, with what it wants before it."""
        ...


class ResponseTranslator(Protocol):
    """How the upstream's answer to one request is told to its caller."""

    def answer(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Write the upstream's whole answer for the caller; raises UpstreamError when it is not what it should be."""
        ...

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Open the way for a streamed answer."""
        ...


@dataclass(frozen=True, slots=True)
class UpstreamBody:
    """A request as it goes upstream: ``path`` is below the upstream's base URL."""

    path: str
    body: bytes
    streamed: bool
    reply: ResponseTranslator


class ParsedRequest(Protocol):
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
        """Every image, in request order."""
        ...

    @property
    def video_slots(self) -> Sequence[VideoSlot]:
        """Every video, in request order; a dialect without videos has none."""
        ...

    @property
    def texts(self) -> Sequence[str]:
        """Every text that moderation is to read, in request order."""
        ...

    def check_translatable(self, dialects: Collection[str]) -> None:
        """Raise what ``outbound`` would raise, before anything is fetched or moderated."""
        ...

    def to_upstream(self, dialects: Collection[str] = ("chat",)) -> UpstreamBody:
        """Write the request for an upstream that speaks ``dialects``, with the slots' replacements in place.

        In its own dialect all else goes as it came; translated to chat, which every upstream speaks, what cannot be
        carried raises UnsupportedField.
        """
        ...


class CallerDialect[A: ParsedRequest = ParsedRequest](ErrorFormat, Protocol):
    """One API family as it looks on the wire; its requests are ``A``."""

    @property
    def name(self) -> str:
        """What the log calls it, and the scope that a key needs for it."""
        ...

    def parse(self, body: RawJson, limits: ContentLimits) -> A:
        """Read a request; raises the errors of the design's table, each with the JSON path as its param."""
        ...
