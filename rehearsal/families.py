"""The families as the code has them: which there are, which stream, and which routes each serves."""

import importlib
import re

from fastapi import APIRouter
from fastapi.routing import iter_route_contexts

from rehearsal.stack import ROOT

STREAMED = frozenset({"chat", "messages", "responses", "files"})
COMMON = frozenset({("GET", "/healthz"), ("GET", "/openapi.json")})
"""What every application serves, whatever its families; API Gateway sends it to one of the functions."""


def families() -> tuple[str, ...]:
    """Return the names of all families: the folders of ``functions``."""
    return tuple(sorted(entry.parent.name for entry in (ROOT / "functions").glob("*/app.py")))


def code_routes(family: str) -> set[tuple[str, str]]:
    """Return each method and path that the family's router serves, in API Gateway's spelling."""
    router: APIRouter = importlib.import_module(f"obscura.api.routers.{family}").router
    return {
        (method, _greedy(route.path))
        for route in iter_route_contexts(router.routes)
        if route.path is not None
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _greedy(path: str) -> str:
    """Write ``{id:path}``, which takes slashes too, as API Gateway does: ``{id+}``."""
    return re.sub(r"\{(\w+):path\}", r"{\1+}", path)
