"""Endpoint families, a module each: what one Lambda function serves. ``FAMILIES`` is the only list of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from fastapi import APIRouter
from fastapi.routing import iter_route_contexts

from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.auth.base import KeyScope

FAMILIES = {
    "chat": "obscura.api.routers.chat",
    "messages": "obscura.api.routers.messages",
    "responses": "obscura.api.routers.responses",
    "models": "obscura.api.routers.models",
    "files": "obscura.api.routers.files",
}
"""The module of each family; as strings, so that a Lambda function imports only its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The endpoints that one Lambda function serves: those of its dialects, and those that FastAPI routes.

    ``scope`` is what a restricted key must name to call any of them: without a default, so that a new family never
    opens to the keys of another. ``free_tier`` says whether anonymous callers of the free tier may call them, and
    ``streams`` whether its function streams its responses.
    """

    name: str
    scope: KeyScope
    free_tier: bool
    streams: bool
    dialects: Sequence[DialectEndpoint] = ()
    router: APIRouter = field(default_factory=APIRouter)

    def __post_init__(self) -> None:
        """Raise ValueError if a dialect admits callers under another scope: the pipeline takes it from the name."""
        for endpoint in self.dialects:
            if endpoint.dialect.name != self.scope:
                raise ValueError(f"the dialect {endpoint.dialect.name} is not of the scope {self.scope}")

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
