"""The application of some families: their endpoints, over one set of services."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from obscura.api.access_log import AccessLogMiddleware, Observer, set_log_level
from obscura.api.cors import CrossOrigin
from obscura.api.dependencies import principal
from obscura.api.error_handlers import handle_disconnect, handle_error
from obscura.api.keep_alive import KEEP_ALIVE_S
from obscura.api.methods import PathMethods
from obscura.api.path_middleware import PathMiddleware
from obscura.api.routers import Family, health, load_families
from obscura.bootstrap import open_services, validate_settings
from obscura.clock import Clock, SystemClock
from obscura.errors import ClientDisconnected, ObscuraError
from obscura.files.sweep import sweeping
from obscura.memory_budget import share_for_request
from obscura.pipeline.services import Services
from obscura.settings import Settings
from obscura.stores.open import Stores
from obscura.version import __version__

if TYPE_CHECKING:
    from obscura.telemetry.open import Telemetry

SCHEMA_PATH = "/openapi.json"
WELL_KNOWN_SCHEMA_PATH = "/.well-known/openapi.json"


class GatewayApp(FastAPI):
    """FastAPI, with the dialect endpoints in front of it: their requests pass none of its middlewares."""

    def setup(self) -> None:
        """Add the routes that every application has."""
        self.dialect_endpoints: dict[str, ASGIApp] = {}
        self.cross_origin: CrossOrigin | None = None
        super().setup()
        [schema] = [route for route in self.routes if isinstance(route, Route) and route.path == SCHEMA_PATH]
        self.add_route(WELL_KNOWN_SCHEMA_PATH, schema.endpoint, include_in_schema=False)

    def openapi(self) -> dict[str, Any]:
        """Return the schema of every family's endpoints, made at the first call."""
        if self.openapi_schema is None:
            from obscura.api.openapi import describe

            self.openapi_schema = describe(self.title, self.version, load_families())
        return self.openapi_schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
        elif self.cross_origin is None:
            await self.serve_http(scope, receive, send)
        else:
            await self.cross_origin(scope, receive, send)

    async def serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request by the endpoint of its path."""
        services: Services | None = getattr(self.state, "services", None)
        if services is None:  # served without its lifespan: the schema needs no services
            await super().__call__(scope, receive, send)
            return
        endpoint = self.dialect_endpoints.get(scope["path"])
        with share_for_request(services.memory):
            if endpoint is None or scope["method"] != "POST":
                await super().__call__(scope, receive, send)
                return
            scope["app"] = self
            await endpoint(scope, receive, send)


def create_family_app(  # noqa: PLR0913 what replaces the machine's own
    families: Sequence[Family],
    settings: Settings,
    stores: Stores | None = None,
    clock: Clock | None = None,
    observer: Observer | None = None,
    *,
    sweeps: bool = False,
    telemetry: "Telemetry | None" = None,
) -> FastAPI:
    """Create the ASGI application of ``families`` and of health; its lifespan opens and closes the services.

    ``stores`` replace those of the settings, ``clock`` the machine's. With ``sweeps`` what has expired is deleted in
    the background: not on Lambda, where nothing runs between requests. ``telemetry`` takes the observer's place.
    Raises ConfigurationError for settings that cannot be used.
    """
    validate_settings(settings)
    set_log_level(settings.log_level)
    clock = clock or SystemClock()
    starter = None
    if telemetry is not None:
        observer, starter = telemetry.ended, telemetry.began

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if all(family.scope is None for family in families):
            yield  # the playground alone: nothing of it needs a store, a decoder or a model
            return
        async with open_services(settings, stores, clock) as services:
            app.state.services = services
            async with AsyncExitStack() as stack:
                if sweeps:
                    await stack.enter_async_context(sweeping(services.storage, clock))
                if telemetry is not None:
                    await stack.enter_async_context(telemetry.running(services))
                yield

    # A redirect to a path without its slash would go to the host that the client names, over plain HTTP, with the key.
    app = GatewayApp(
        title="Obscura",
        version=__version__,
        lifespan=lifespan,
        openapi_url=SCHEMA_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    if settings.cors_origins:
        app.cross_origin = CrossOrigin(
            app.serve_http, settings.cors_origins, lambda inner: AccessLogMiddleware(inner, clock, observer, starter)
        )
    app.state.settings = settings
    app.state.trusted_proxies = settings.trusted_proxies
    app.state.keep_alive_s = KEEP_ALIVE_S
    app.state.error_formats = {}
    app.state.methods = PathMethods()
    app.add_middleware(PathMiddleware)
    app.add_middleware(AccessLogMiddleware, clock=clock, observer=observer, starter=starter)
    for exception in (ObscuraError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(exception, handle_error)
    app.add_exception_handler(ClientDisconnected, handle_disconnect)
    app.include_router(health.router)
    app.state.telemetry = telemetry
    if telemetry is not None and telemetry.shared is not None:
        from obscura.api.routers import metrics

        app.include_router(metrics.router)
    for family in families:
        if family.router.routes:
            scope = None if family.any_key else family.scope
            admitted = [Depends(principal(scope, free_tier=family.free_tier))] if family.scope else []
            app.include_router(family.router, dependencies=admitted)
    if telemetry is not None:
        routes = list(iter_route_contexts(app.router.routes))[::-1]  # a route of two paths is known by its first one
        app.state.endpoint_paths = {id(route.original_route): route.path_format for route in routes}
    for endpoint in chain.from_iterable(family.dialects for family in families):
        for path in endpoint.dialect.paths:
            app.state.error_formats[path] = endpoint.dialect
            app.dialect_endpoints[path] = AccessLogMiddleware(endpoint, clock, observer, starter)
            app.router.routes.append(Route(path, endpoint, methods=["POST"]))  # answers the other methods with a 405
    return app


def create_app(settings: Settings, stores: Stores | None = None, clock: Clock | None = None) -> FastAPI:
    """Create the ASGI application of all families; as ``create_family_app``."""
    telemetry = None
    if settings.metrics or settings.traces_url is not None:
        from obscura.telemetry.open import Telemetry

        telemetry = Telemetry(settings)
    return create_family_app(load_families(), settings, stores, clock, sweeps=True, telemetry=telemetry)
