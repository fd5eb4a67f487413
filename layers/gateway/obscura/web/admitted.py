"""The door of the endpoints that a framework routes: lists and files."""

from fastapi import Request

from obscura.pipeline.admit import Caller, Knock
from obscura.pipeline.stay import let_in
from obscura.ports import Scope
from obscura.web.knocking import client_address, headers_of
from obscura.web.request_log import JOURNAL

_FILE_PATHS = ("/v1/files", "/v1/uploads", "/files", "/uploads")


async def admitted(request: Request) -> Caller:
    """Give who is asking; raises what ``obscura.pipeline.admit.admit`` raises. No place of the free tier is taken."""
    scope = Scope.FILES if request.url.path.startswith(_FILE_PATHS) else Scope.MODELS
    address = client_address(request.scope, request.app.state.trusted_proxies)
    knock = Knock(headers_of(request.scope), address, scope, request.scope[JOURNAL])
    async with let_in(knock, request.app.state.gateway.door) as caller:
        return caller
