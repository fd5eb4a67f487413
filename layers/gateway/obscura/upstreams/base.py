"""The models behind the gateway."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One call to the upstream: ``path`` below its base URL (``/chat/completions``) and the JSON body."""

    path: str
    body: bytes
    streamed: bool


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """An upstream's answer whose head has arrived; ``chunks`` gives the body as it comes in.

    Iterating ``chunks`` raises UpstreamError or UpstreamTimeout when the upstream fails half-way.
    """

    status: int
    content_type: str
    chunks: AsyncIterator[bytes]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model as an upstream lists it; ``created_at`` in seconds since 1970."""

    id: str
    created_at: int = 0
    owned_by: str = "upstream"


class Upstream(Protocol):
    """The model behind the gateway."""

    async def models(self) -> Sequence[ModelListing]:
        """Return the upstream's own list; raises UpstreamUnavailable, UpstreamTimeout or UpstreamError."""
        ...

    def answer(self, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        """Open a call; leaving the context (a cancelled task included) drops the connection to the upstream at once.

        Entering raises UpstreamUnavailable, UpstreamTimeout or UpstreamError; an answer of any status is an answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model that may be asked for: where it runs, what it takes, and how its images are counted.

    ``dialects`` are those that its upstream speaks natively, chat always among them; ``token_profile`` is the name of
    an imaging token profile, and ``token_factor`` what OpenAI's patches are multiplied by; ``context_length`` in
    tokens, None when nobody said.
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


class Catalog(Protocol):
    """The models that may be asked for."""

    async def find(self, model_id: str) -> CatalogModel | None:
        """Return the model with exactly this id, or None."""
        ...

    async def all(self) -> Sequence[CatalogModel]:
        """Every model, in the catalogue's order; raises what ``Upstream.models`` raises."""
        ...
