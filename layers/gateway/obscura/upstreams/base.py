"""The Protocols of this package: an upstream, the dialect that it speaks, and the catalog of models."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from obscura.dialects.base import UpstreamBody
from obscura.dialects.chat_options import ChatOptions
from obscura.errors import ObscuraError
from obscura.usage.base import Prices

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


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request as an upstream's dialect writes it: ``path`` is below the base URL, ``headers`` without credentials."""

    path: str
    headers: RawHeaders
    body: bytes = b""
    method: str = "POST"


class StreamDecoder(Protocol):
    """Decodes the stream of one response, framing included, to server-sent events."""

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that are complete after ``chunk``; raises UpstreamError on a malformed frame."""
        ...


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

    def list_models(self) -> UpstreamRequest:
        """Write the request for the list of models."""
        ...

    def decode_models(self, body: bytes) -> Sequence[ModelListing]:
        """Read the list of models; raises UpstreamError if it is malformed."""
        ...


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model that callers may use: its upstream, its input, and how the tokens of its images are counted.

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

    def chat_options(self) -> ChatOptions:
        """Return what a translation to chat has to know of it."""
        learned = self.upstream.token_limit_field(self.id)
        return ChatOptions(learned or self.token_limit, self.drops_hosted_tools, self.custom_tools, self.prefill)


class Catalog(Protocol):
    """The models that callers may use."""

    async def find(self, model_id: str) -> CatalogModel | None:
        """Return the model with exactly this id, or None."""
        ...

    async def all(self) -> Sequence[CatalogModel]:
        """Return every model, in the order of the catalog; raises what ``Upstream.models`` raises."""
        ...
