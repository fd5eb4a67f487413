"""A request that FastAPI routed, as the pipeline takes it in: its body still on its way."""

from collections.abc import AsyncIterator

from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from obscura.pipeline.request import CallerGone, InboundRequest
from obscura.web.request_log import JOURNAL
from obscura.web.road_endpoint import CALLER_CLOSED_REQUEST


class _Body:
    def __init__(self, request: Request) -> None:
        self._request = request

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._request.stream():
                yield chunk
        except ClientDisconnect:
            raise CallerGone from None


def inbound(request: Request) -> InboundRequest:
    """Give the request without reading any of its body."""
    return InboundRequest(request.headers, _Body(request), request.scope[JOURNAL])


async def answer_nobody(request: Request, gone: Exception) -> Response:
    """End a request whose caller has left."""
    return Response(status_code=CALLER_CLOSED_REQUEST)
