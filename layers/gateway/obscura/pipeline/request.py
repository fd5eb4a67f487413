"""A request as it enters the pipeline, and a response as it leaves, whatever server they come through."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from obscura.access_record import AccessRecord
from obscura.auth.limits import Address
from obscura.dialects.base import RequestHead
from obscura.errors import ObscuraError


class RequestBody(Protocol):
    """A request body as it arrives."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of the body; raises ClientDisconnected if the connection closes before its end."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """One request, its body still on its way, and its access record.

    ``address`` is the client's as the platform reports it, None if it is not known; ``expires_at_s`` is its deadline by
    the event loop's clock, None without one.
    """

    head: RequestHead
    body: RequestBody
    record: AccessRecord
    address: Address | None = None
    expires_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class StreamingBody:
    """A body in chunks; ``fail`` renders the error that ends it in mid-stream, ``aclose`` drops what is left of it."""

    chunks: AsyncIterator[bytes]
    fail: Callable[[ObscuraError, str], bytes]
    aclose: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """What the caller gets: a status, headers, and a body, whole or in chunks."""

    status: int
    content_type: str
    body: bytes | StreamingBody
    headers: dict[str, str] = field(default_factory=dict)

    async def aclose(self) -> None:
        """Drop what has not been read of a streaming body."""
        if isinstance(self.body, StreamingBody):
            await self.body.aclose()
