"""The Protocols of this package: an upstream, the dialect that it speaks, and the catalog of models."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, Self

from obscura.dialects.base import UpstreamBody
from obscura.dialects.chat_options import ChatOptions
from obscura.errors import ObscuraError
from obscura.upstreams.breaker import CircuitBreaker
from obscura.upstreams.image_limits import NO_LIMITS, UpstreamImageLimits
from obscura.usage.base import Prices

if TYPE_CHECKING:
    from obscura.upstreams.image_files import ImageFiles

SSM, SECRET = "ssm:", "secret:"
"""Before the names of parameters of SSM and of secrets of Secrets Manager, where a text may name either."""

type RawHeaders = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class UpstreamStream:
    """A streamed response as server-sent events of the dialect of its request.

    Iterating ``chunks`` raises UpstreamError or UpstreamTimeout if the upstream fails in mid-stream. ``aclose`` drops
    the connection unless the stream was read to its end; it must be called.
    """

    chunks: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[None]]


type UpstreamResponse = bytes | UpstreamStream
"""The whole body of a successful response, or its stream."""


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model as an upstream lists it; ``created_at`` in seconds since 1970."""

    id: str
    created_at: int = 0
    owned_by: str = "upstream"


class Upstream(Protocol):
    """A server of models, or the demo model. Any number of calls may run at once."""

    async def models(self) -> Sequence[ModelListing]:
        """Return the upstream's own list; raises UpstreamUnavailable, UpstreamTimeout or UpstreamError."""
        ...

    async def send(self, request: UpstreamBody) -> UpstreamResponse:
        """Send a request and return its response; a cancelled call drops the connection at once.

        Raises UpstreamUnavailable, UpstreamTimeout or UpstreamError, or the upstream's own error about the request.
        """
        ...

    def token_limit_field(self, model: str) -> str | None:
        """Return the field in which a model was found to take its token limit, or None if nothing was found out."""
        ...


class StreamDecoder(Protocol):
    """Decodes the stream of one response, framing included, to server-sent events."""

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """Yield the events that are complete after ``chunk``.

        Raises UpstreamError on a malformed frame, and the upstream's own error, after the events before it.
        """
        ...


class ResponseReader(Protocol):
    """Reads the response to one request; the dialect itself, unless the reading depends on the request."""

    def decode(self, body: bytes) -> bytes:
        """Return a whole response in the dialect of its request; raises UpstreamError if it is malformed."""
        ...

    def stream_decoder(self) -> StreamDecoder | None:
        """Return the decoder of a streamed response; None if it already is a stream of server-sent events."""
        ...


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request as an upstream's dialect writes it: ``path`` is below the base URL, ``headers`` without credentials.

    ``reader`` reads its response in place of the dialect, ``base_url`` takes the place of the upstream's.
    """

    path: str
    headers: RawHeaders
    body: bytes = b""
    method: str = "POST"
    reader: ResponseReader | None = None
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What an operator sets of one model for its upstream's kind.

    ``upstream_id`` is its name there, ``family`` whose model it is (None: by that name), ``max_output`` the tokens of
    an answer to a request without a limit, ``additional_fields`` what goes into every request as it is.
    """

    upstream_id: str
    family: str | None = None
    max_output: int | None = None
    additional_fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """What an operator sets of an upstream beside its URL and its key; ``models`` by the ids that callers use.

    ``guardrail`` is the identifier and the version of a guardrail for every request, ``control_url`` the base URL of
    the lists of models, if it is another.
    """

    region: str = ""
    guardrail: tuple[str, str] | None = None
    control_url: str | None = None
    models: Mapping[str, ModelOptions] = field(default_factory=dict)


class UpstreamDialect(Protocol):
    """How one kind of upstream is spoken to; the kinds are listed in ``upstreams.registry``.

    A kind whose servers take a dialect as it is passes bodies through. Any other kind translates chat completions,
    the pivot, both ways. Kinds inherit from this class, so that mypy holds them to it.
    """

    speaks: ClassVar[frozenset[str]]
    """The caller dialects that it takes; chat, the pivot, is always among them."""

    def __init__(self, key: str | None) -> None:
        """Create the dialect of one upstream, with the operator's key for it."""
        ...

    default_dialects: ClassVar[frozenset[str]] = frozenset({"chat"})
    """What an upstream takes of whose dialects the operator says nothing."""

    image_uuids: ClassVar[bool] = False
    """Whether chat requests carry the SHA-256 of each image, by which the server finds what it has processed."""

    translates: ClassVar[bool] = False
    """Whether ``encode`` and ``decode`` rewrite what they are given, which is off the event loop if that is large."""

    @classmethod
    def configured(cls, key: str | None, options: UpstreamOptions) -> Self:
        """Create the dialect of one upstream with its options; most kinds have none."""
        return cls(key)

    @classmethod
    def model_dialects(cls, options: ModelOptions, dialects: frozenset[str]) -> frozenset[str]:
        """Return which of its upstream's ``dialects`` a model takes."""
        return dialects

    async def ready(self) -> None:
        """Wait until requests can be authorized; raises UpstreamError if they cannot. Most kinds always can."""
        return

    def encode(self, body: UpstreamBody) -> UpstreamRequest:
        """Write a request; raises UnsupportedOperation for a dialect that is not in ``speaks``."""
        ...

    def authorize(self, request: UpstreamRequest, url: str) -> RawHeaders:
        """Return the headers with the credentials: a bearer token, an API key, or a signature of the whole request."""
        ...

    def decode(self, body: bytes) -> bytes:
        """Return a whole response in the dialect of its request; raises UpstreamError if it is malformed."""
        ...

    def is_stream(self, content_type: str) -> bool:
        """Whether a response of this content type is streamed; others are read whole."""
        ...

    def stream_decoder(self) -> StreamDecoder | None:
        """Return the decoder of one streamed response; None if it already is a stream of server-sent events."""
        ...

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ObscuraError:
        """Return the error for a response of any status but 200."""
        ...

    def list_models(self) -> Sequence[UpstreamRequest]:
        """Write the requests for the list of models, which may be in several parts."""
        ...

    def decode_models(self, body: bytes) -> Sequence[ModelListing]:
        """Read one part of the list of models; raises UpstreamError if it is malformed."""
        ...


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model that callers may use: its upstream, its input, and how the tokens of its images are counted.

    Or a group of models at several upstreams, which callers use as one (ADR 165).
    ``dialects`` are those that its upstream speaks natively, chat always among them; ``token_profile`` is the name of
    an imaging token profile, and ``token_factor`` what OpenAI's patches are multiplied by; ``context_length`` in
    tokens, None if it is not known.
    """

    id: str
    upstream: Upstream
    dialects: frozenset[str] = frozenset({"chat"})
    token_profile: str = "qwen"
    token_factor: float = 1.0
    input_modalities: tuple[str, ...] = ("text", "image")
    context_length: int | None = None
    created_at: int = 0
    owned_by: str = "obscura"
    pass_types: frozenset[str] = frozenset()
    """The types of content parts that nothing here can check, and that its upstream gets all the same."""
    store_field: bool = True
    """Whether its upstream takes the field ``store``; zero-retention requests are sent with false in it."""
    prefill: bool = False
    """Whether its chat upstream continues a last message of the assistant's instead of answering it."""
    account_state: bool = False
    """Whether callers may name what the upstream's account holds, which all of them share."""
    token_limit: str = "max_tokens"
    """The field in which it takes its token limit over chat, as set or known, until the upstream says otherwise."""
    drops_hosted_tools: bool = False
    """Whether optional tools of the provider's own are left out of a translated request."""
    custom_tools: bool = False
    """Whether it takes custom tools over chat."""
    prices: Prices | None = None
    """What its tokens cost; None if that is not known."""
    max_output: int | None = None
    """The most tokens of an answer, if that is known."""
    image_limits: UpstreamImageLimits = NO_LIMITS
    """What its upstream takes of images: the strictest of all that may be asked."""
    sees_through: "CatalogModel | None" = None
    """The model that describes images for this one, which cannot see; its limits of images hold then."""
    image_uuids: bool = False
    """Whether its images carry their SHA-256, as vLLM takes it; never those of zero-retention requests."""
    image_files: "ImageFiles | None" = None
    """The files of its upstream that stand for repeated images; None if it gets every image inline."""
    image_history: str = "keep"
    """What becomes of a request with more images than that: ``keep`` refuses it, ``prune`` leaves the oldest out."""
    upstream_name: str | None = None
    """The catalog's name of its upstream; None without a catalog file."""
    breaker: CircuitBreaker | None = None
    """The circuit of its upstream, that of every model there; None without a catalog file."""
    weight: float = 1.0
    """Its share of the requests of a weighted group."""
    images_out: bool = False
    """Whether its upstream makes images: generations and edits, as OpenAI's images API has them."""
    members: tuple["CatalogModel", ...] = ()
    """Of a group, the model at each of its upstreams, by its id there; the other fields are the first one's."""
    members_alike: bool = False
    """Whether each member of a group can carry what any other can: one check is enough for all."""
    mode: Literal["fallback", "weighted"] = "fallback"
    """In which order the members of a group are asked: as they are listed, or drawn by weight."""

    @property
    def asked(self) -> tuple["CatalogModel", ...]:
        """Every model that may be asked for an answer: the members of a group, or this one alone."""
        return self.members or (self,)

    @property
    def native_dialects(self) -> frozenset[str]:
        """The dialects that are native whichever of them answers."""
        return frozenset.intersection(*(model.dialects for model in self.asked))

    def chat_options(self) -> ChatOptions:
        """Return what a translation to chat has to know of it."""
        learned = self.upstream.token_limit_field(self.id)
        return ChatOptions(
            learned or self.token_limit, self.drops_hosted_tools, self.custom_tools, self.prefill, self.image_uuids
        )


class Catalog(Protocol):
    """The models that callers may use."""

    async def find(self, model_id: str) -> CatalogModel | None:
        """Return the model with exactly this id, or None."""
        ...

    async def all(self) -> Sequence[CatalogModel]:
        """Return every model, in the order of the catalog; raises what ``Upstream.models`` raises."""
        ...
