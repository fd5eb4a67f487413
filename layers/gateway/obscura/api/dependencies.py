"""The door of the endpoints that a framework routes: lists and files."""

from collections.abc import AsyncIterator

import msgspec
from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from obscura.api.access_log import ACCESS_RECORD
from obscura.api.client_address import client_address, headers_of
from obscura.api.dialect_endpoint import CLIENT_CLOSED_REQUEST
from obscura.api.error_handlers import error_format_for
from obscura.auth.access import AccessRequest, Principal, admission
from obscura.auth.base import KeyScope
from obscura.errors import ClientDisconnected
from obscura.pipeline.request import GatewayRequest

_FILE_PATHS = ("/v1/files", "/v1/uploads", "/files", "/uploads")


async def principal(request: Request) -> Principal:
    """Return who is asking; raises what ``obscura.auth.access.admit`` raises. No place of the free tier is taken."""
    scope = KeyScope.FILES if request.url.path.startswith(_FILE_PATHS) else KeyScope.MODELS
    address = client_address(request.scope, request.app.state.trusted_proxies)
    knock = AccessRequest(headers_of(request.scope), address, scope, request.scope[ACCESS_RECORD])
    async with admission(knock, request.app.state.gateway.door) as caller:
        return caller


class _Body:
    def __init__(self, request: Request) -> None:
        self._request = request

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._request.stream():
                yield chunk
        except ClientDisconnect:
            raise ClientDisconnected from None


def gateway_request(request: Request) -> GatewayRequest:
    """Return the request without reading any of its body."""
    return GatewayRequest(request.headers, _Body(request), request.scope[ACCESS_RECORD])


async def handle_disconnect(request: Request, gone: Exception) -> Response:
    """End a request whose caller has left."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def json_response(request: Request, shown: msgspec.Struct) -> Response:
    """Write an answer, with the headers of the caller's dialect."""
    headers = error_format_for(request).response_headers(request.scope[ACCESS_RECORD].request_id)
    return Response(msgspec.json.encode(shown), media_type="application/json", headers=headers)
