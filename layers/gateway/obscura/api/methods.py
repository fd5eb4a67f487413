"""Which methods a path takes: those of its routes, and HEAD wherever there is GET (RFC 9110 §9.3.2)."""

from collections.abc import Sequence
from re import Pattern

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from obscura.errors import ObscuraError


class MethodNotAllowed(ObscuraError):
    """A method that the path does not take (RFC 9110 §15.5.6)."""

    status, code = 405, "method_not_allowed"


class PathMethods:
    """The methods of each path of an application, read of its routes at the first use."""

    def __init__(self) -> None:
        self._routes: Sequence[tuple[Pattern[str], frozenset[str]]] = ()

    def of(self, app: FastAPI, path: str) -> list[str]:
        """Return the methods that ``path`` takes, sorted; none for a path that is not served."""
        if not self._routes:
            self._routes = [
                (compile_path(str(route.path))[0], frozenset(route.methods or ()))
                for route in iter_route_contexts(app.router.routes)
                if route.path
            ]
        served: frozenset[str] = frozenset().union(*(found for regex, found in self._routes if regex.fullmatch(path)))
        if not served:
            return []
        return sorted(served | {"HEAD"} if "GET" in served else served)
