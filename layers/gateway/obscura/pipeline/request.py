"""What comes in at the start of the road and what leaves at its end, whichever door it came through."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from obscura.access_record import AccessRecord
from obscura.auth.limits import Address
from obscura.dialects.base import RequestHead
from obscura.errors import ObscuraError


class RequestBody(Protocol):
    """A request body as it arrives."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's pieces; raises ClientDisconnected when the connection closes before its end."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """One request, its body still on its way, and its access record.

    ``address`` is the caller's, as the platform tells it; None where it cannot be told.
    """

    head: RequestHead
    body: RequestBody
    record: AccessRecord
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class StreamingBody:
    """A body that comes in chunks; ``fail`` gives what ends it, once it has begun, in place of the rest."""

    chunks: AsyncIterator[bytes]
    fail: Callable[[ObscuraError, str], bytes]


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """What the caller gets: a status, headers, and a body that is whole or comes in chunks."""

    status: int
    content_type: str
    body: bytes | StreamingBody
    headers: dict[str, str] = field(default_factory=dict)
