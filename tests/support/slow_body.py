"""A request whose body arrives in pieces."""

from collections.abc import AsyncIterator

from obscura.access_record import AccessRecord
from obscura.dialects.base import RequestHead
from obscura.pipeline.request import GatewayRequest


class Pieces:
    """A body that arrives in these pieces, and counts those that were read."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.read = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.read += 1
            yield piece


def arriving(*pieces: bytes, **headers: str) -> GatewayRequest:
    """A request with these headers, underscores for dashes, and a body in these pieces."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return GatewayRequest(RequestHead(headers=named), Pieces(*pieces), AccessRecord("req_1"))


def pieces_read(request: GatewayRequest) -> int:
    """Return how many pieces of an arriving body were read."""
    assert isinstance(request.body, Pieces)
    return request.body.read
