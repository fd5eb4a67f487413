"""Families of the code's registry, with their routes in API Gateway's spelling."""

import re

from obscura.api.app import SCHEMA_PATH, WELL_KNOWN_SCHEMA_PATH
from obscura.api.routers import Family, health, load_families
from obscura.auth.base import KeyScope

FAMILIES: dict[str, Family] = {family.name: family for family in load_families()}

STREAMED = frozenset(name for name, family in FAMILIES.items() if family.streams)

COMMON = frozenset(
    (method, path) for path in (health.PATH, SCHEMA_PATH, WELL_KNOWN_SCHEMA_PATH) for method in ("GET", "OPTIONS")
)
"""Routes that the application of every family serves; API Gateway sends them to one of the functions."""


def key_options(family: str) -> list[str]:
    """Return the options of ``obscura keys create`` for a key that may call a family: no other key has admin."""
    return ["--scope", "admin"] if FAMILIES[family].scope is KeyScope.ADMIN else []


def code_routes(family: Family) -> set[tuple[str, str]]:
    """Return the method and path of each of a family's routes, and of the preflight (OPTIONS) of each path."""
    routes = {(method, _greedy(path)) for method, path in family.routes() if method != "HEAD"}
    return routes | {("OPTIONS", path) for _, path in routes}


def _greedy(path: str) -> str:
    """Return ``{id:path}``, which matches slashes too, as API Gateway spells it: ``{id+}``."""
    return re.sub(r"\{(\w+):path\}", r"{\1+}", path)
