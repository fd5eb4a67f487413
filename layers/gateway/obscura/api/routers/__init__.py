"""Endpoint families, a module each: what one Lambda function serves. ``FAMILIES`` is the only list of them."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts

from obscura.api.access_log import ACCESS_RECORD
from obscura.api.deadline import deadline_of, enforce_deadline
from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.error_handlers import error_format_for
from obscura.auth.base import KeyScope

FAMILIES = {
    "chat": "obscura.api.routers.chat",
    "messages": "obscura.api.routers.messages",
    "responses": "obscura.api.routers.responses",
    "policy": "obscura.api.routers.policy",
    "images": "obscura.api.routers.images",
    "inspect": "obscura.api.routers.inspect",
    "models": "obscura.api.routers.models",
    "files": "obscura.api.routers.files",
    "policies": "obscura.api.routers.policies",
    "usage": "obscura.api.routers.usage",
    "playground": "obscura.api.routers.playground",
}
"""The module of each family; as strings, so that a Lambda function imports only its own."""


class FamilyRoute(APIRoute):
    """A route that ends at the request's deadline; its responses carry the headers of the client's dialect.

    A dependency with ``yield`` would do the same in 80 µs more a request.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the endpoint (FastAPI's documentation, "Custom Request and APIRoute class")."""
        handle = super().get_route_handler()

        async def handle_within_deadline(request: Request) -> Response:
            async with enforce_deadline(deadline_of(request.scope)):
                response = await handle(request)
            request_id = request.scope[ACCESS_RECORD].request_id
            response.headers.update(error_format_for(request).response_headers(request_id))
            return response

        return handle_within_deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The endpoints that one Lambda function serves: those of its dialects, and those that FastAPI routes.

    ``scope`` is what a restricted key must name to call any of them: without a default, so that a new family never
    opens to the keys of another; None is for a family that is open to all callers and whose requests are not counted,
    since they use no service. One for ``any_key`` opens to the keys of every scope, and shows each what is its own.
    ``free_tier`` says whether anonymous callers of the free tier may call them, and
    ``streams`` whether its function streams its responses.
    """

    name: str
    scope: KeyScope | None
    free_tier: bool
    streams: bool
    any_key: bool = False
    dialects: Sequence[DialectEndpoint] = ()
    router: APIRouter = field(default_factory=APIRouter)

    def __post_init__(self) -> None:
        """Raise ValueError for a dialect of another scope, and for a route without a deadline."""
        for endpoint in self.dialects:
            if endpoint.scope != self.scope:
                raise ValueError(f"the dialect {endpoint.dialect.name} is not of the scope {self.scope}")
        for route in iter_route_contexts(self.router.routes):
            if not isinstance(route.original_route, FamilyRoute):
                raise ValueError(f"{route.path} is not a FamilyRoute, which ends at the deadline")

    def routes(self) -> Iterator[tuple[str, str]]:
        """Yield the method and the path of every endpoint."""
        for endpoint in self.dialects:
            yield from (("POST", path) for path in endpoint.dialect.paths)
        for route in iter_route_contexts(self.router.routes):
            yield from ((method, str(route.path)) for method in route.methods or ())


def load_family(name: str) -> Family:
    """Import a family; raises KeyError for a name that is not in ``FAMILIES``."""
    family: Family = import_module(FAMILIES[name]).FAMILY
    return family


def load_families() -> list[Family]:
    """Import every family, in the order of ``FAMILIES``."""
    return [load_family(name) for name in FAMILIES]
