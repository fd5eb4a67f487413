"""What the pipeline knows of a dialect: how a request is parsed and sent on, and how its response is translated."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import msgspec

from obscura.dialects.chat_options import DEFAULT_OPTIONS, ChatOptions, TokenLimit
from obscura.dialects.errors import ErrorFormat
from obscura.dialects.json.prescan import MAX_ITEMS
from obscura.dialects.json.raw import RawJson
from obscura.dialects.registry import PIVOT
from obscura.errors import ObscuraError


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What a request says before its body: path, query string (without ``?``) and headers, their names in lower case.

    ``headers`` may hold the caller's credentials: a dialect reads the fields that it knows and keeps none.
    """

    path: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


MAX_TEXT_CHARS = 4_000_000


@dataclass(frozen=True, slots=True)
class ContentLimits:
    """How much content one request may carry.

    ``images`` are what the operator allows beside what the upstream takes, None if that alone decides; ``items`` are
    messages, parts and tools in all; ``text_chars`` of text, ``key_text_chars`` of a caller with a key if more.
    """

    content_parts: int = 16
    items: int = MAX_ITEMS
    text_chars: int = MAX_TEXT_CHARS
    key_text_chars: int = MAX_TEXT_CHARS
    images: int | None = None


class SourceKind(Enum):
    """What the source of an image is."""

    URL = "url"
    """An https URL or a data URL, whichever the string begins with."""
    BASE64 = "base64"
    FILE_ID = "file id"
    FILE = "bytes of a file"


@dataclass(frozen=True, slots=True)
class ImageSlot:
    """An image of a request, and the way to replace it once it is prepared.

    ``path`` is the JSON path that an error's ``param`` names; ``source`` is the string as sent, between its quotes and
    with its JSON escapes: a view of maybe 20 MB. ``replace`` takes the prepared image as an ASCII data URL and writes
    it into the request in place of the caller's; or a text that stands there instead, if the place ``takes_text``.
    ``refer`` writes the id of the upstream's own file in place of the replaced image, in a native request.
    """

    path: str
    source: memoryview
    detail: str
    replace: Callable[[bytes | str], None]
    kind: SourceKind = SourceKind.URL
    takes_text: bool = True
    refer: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class DocumentSlot:
    """A file of a request that is a PDF, or an image if its part does not tell and its bytes do.

    Like ImageSlot, but it becomes an image and a text for each of its pages. ``replace`` takes the prepared pages as
    ASCII data URLs, or a text that stands in the place of an image, and their texts, one each; a page without text has
    an empty one. ``images_before`` counts the image slots before it in the request.
    """

    path: str
    source: memoryview
    detail: str
    replace: Callable[[Sequence[bytes | str], Sequence[str]], None]
    kind: SourceKind = SourceKind.URL
    images_before: int = 0


@dataclass(frozen=True, slots=True)
class VideoSlot:
    """A video of a request; like ImageSlot, but ``source`` is always an https URL or a data URL."""

    path: str
    source: memoryview
    replace: Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class UncheckedPart:
    """A part that nothing here can check: its ``type``, its JSON path, and the error if it may not pass.

    ``account_id`` is the JSON path of the id, if it names a file of the upstream's account.
    """

    kind: str
    path: str
    error: ObscuraError
    account_id: str | None = None


class StreamTranslator(Protocol):
    """Translates one streamed response, chunk by chunk."""

    @property
    def complete(self) -> bool:
        """Whether the upstream has said that the response is complete; a failure after that is none."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Return what can be sent after ``chunk``; at most one unfinished line is held back."""
        ...

    def finish(self) -> bytes:
        """Return what was held back, at the end of the upstream's stream; raises UpstreamError if it ended early."""
        ...

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return what ends a stream that cannot go on: the dialect's error event, and what must come before it."""
        ...


class ResponseTranslator(Protocol):
    """Translates the upstream's response to one request."""

    def translate(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Translate a whole response; raises UpstreamError if it is malformed."""
        ...

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Return the translator of a streamed response."""
        ...


@dataclass(frozen=True, slots=True)
class UpstreamBody:
    """A request as it goes upstream, in a caller dialect, and the translator of its response.

    One that ``counts_tokens`` only counts them. ``token_limit`` is that of a translated request, ``headers`` and
    ``query`` are of the caller's own what goes on, ``received`` is of the upstream's headers what the caller gets.
    ``path`` is the upstream's, if the dialect has several, and ``content_type`` that of the body.
    """

    dialect: str
    body: bytes
    streamed: bool
    translator: ResponseTranslator
    counts_tokens: bool = False
    token_limit: TokenLimit | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    query: str = ""
    received: dict[str, str] = field(default_factory=dict)
    path: str = ""
    content_type: str = "application/json"


class RequestContent(Protocol):
    """What of a request is loaded, prepared and moderated."""

    @property
    def images(self) -> Sequence[ImageSlot]:
        """Every image, in request order."""
        ...

    @property
    def videos(self) -> Sequence[VideoSlot]:
        """Every video, in request order; empty in a dialect without videos."""
        ...

    @property
    def documents(self) -> Sequence[DocumentSlot]:
        """Every PDF, in request order, and every file that may be one."""
        ...

    @property
    def texts(self) -> Sequence[str]:
        """Every text that the caller wrote and the model may read, in request order: all of it is to be moderated."""
        ...

    def rewrite_texts(self, rewrite: Callable[[str], str]) -> None:
        """Rewrite every text, string by string, in the request and in ``texts``; before images are replaced."""
        ...


class ParsedRequest(RequestContent, Protocol):
    """A parsed request. It holds the body that arrived: drop it once the upstream's request is rendered."""

    @property
    def model(self) -> str:
        """The id of the requested model."""
        ...

    @property
    def streamed(self) -> bool:
        """Whether the response is to be a stream of server-sent events."""
        ...

    @property
    def unchecked(self) -> Sequence[UncheckedPart]:
        """The parts that only a model which passes their type may get (``pass_types`` in the catalog)."""
        ...

    @property
    def unmoderated(self) -> Sequence[UncheckedPart]:
        """The parts that are sent without a moderation, and that the response names: audio and video."""
        ...

    @property
    def kept_upstream(self) -> Sequence[str]:
        """The JSON paths of fields by which the upstream would keep something of the request."""
        ...

    def leave_out_images(self, count: int) -> int:
        """Replace the first ``count`` images by a text that says so; return how many there were that could be."""
        ...

    @property
    def max_output_tokens(self) -> int | None:
        """The most tokens that the answer may have, of all its choices together; None if the request has no limit."""
        ...

    def answer_translator(self) -> ResponseTranslator:
        """Return the translator of a chat answer that the gateway gives in place of the model's."""
        ...

    def account_state(self, *, native: bool) -> Sequence[str]:
        """Return the JSON paths of ids of what the upstream's account holds, which all its users share.

        Without ``native``, for a request that is translated, only those that a translation carries: ids of files.
        """
        ...

    def is_bound(self, *, native: bool) -> bool:
        """Whether what goes upstream names or carries what one upstream alone knows: ids, content that it encrypted."""
        ...

    def rename_model(self, model: str) -> None:
        """Have ``to_upstream`` ask for a model by this id; responses keep the caller's."""
        ...

    def keep_nothing_upstream(self, *, store_field: bool) -> None:
        """Have the upstream keep nothing that a request can stop it from keeping; before any image is replaced.

        Fields that name or make entries of its cache are taken off, and ``"store": false`` is written, in dialects that
        have the field, if ``store_field`` says that the upstream takes it. It may be called again for another upstream.
        """
        ...

    def check_translatable(self, dialects: Collection[str], options: ChatOptions = DEFAULT_OPTIONS) -> None:
        """Raise what ``to_upstream`` would raise, before anything is fetched or moderated."""
        ...

    def to_upstream(self, dialects: Collection[str] = (PIVOT,), options: ChatOptions = DEFAULT_OPTIONS) -> UpstreamBody:
        """Render the request for an upstream that speaks ``dialects``, with the images and videos replaced.

        In its own dialect the rest goes as it came. Otherwise it is translated to chat, which every upstream speaks;
        raises UnsupportedField on a field that chat does not have.
        """
        ...


type JsonSchema = dict[str, object]
CREDENTIAL_HEADERS = ("authorization", "x-api-key")
"""What OpenAI's and Anthropic's SDKs send; every dialect so far takes either."""


class CallerApi(ErrorFormat, Protocol):
    """An API that takes large JSON bodies, as its callers and ``/openapi.json`` know it."""

    @property
    def name(self) -> str:
        """Its name in the registry, in the access log, and as the scope that a key needs."""
        ...

    @property
    def paths(self) -> Sequence[str]:
        """Every path that takes its requests as POST."""
        ...

    @property
    def credential_headers(self) -> Sequence[str]:
        """The headers that may hold the caller's credential, the first one first."""
        ...

    @property
    def summary(self) -> str:
        """What the endpoint does, in a few words, for ``/openapi.json``."""
        ...

    @property
    def request_schema(self) -> JsonSchema:
        """The JSON schema of its requests, for ``/openapi.json``."""
        ...

    @property
    def response_type(self) -> type[msgspec.Struct] | None:
        """The type of its responses where they are of this gateway's own making."""
        ...


class CallerDialect[R: ParsedRequest = ParsedRequest](CallerApi, Protocol):
    """The API of a model as its callers speak it, requests ``R``. The dialects are listed in ``dialects.registry``."""

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> R:
        """Parse a request; raises ObscuraErrors, each with the JSON path as its ``param``."""
        ...
