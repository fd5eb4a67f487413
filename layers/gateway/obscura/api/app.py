"""The application of some families: their routes over one gateway."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from obscura.access_record import AccessRecord
from obscura.api.access_log import AccessLogMiddleware, set_log_level
from obscura.api.dependencies import handle_disconnect
from obscura.api.error_handlers import handle_error
from obscura.api.openapi import GatewayApp
from obscura.api.routers import Family, health, load_families
from obscura.bootstrap import open_services, validate_settings
from obscura.clock import Clock
from obscura.errors import ClientDisconnected, ObscuraError
from obscura.settings import Settings
from obscura.stores.open import Stores

type Observer = Callable[[AccessRecord], None]
"""Told of each request once it is over."""


def create_family_app(
    families: Sequence[Family],
    settings: Settings,
    stores: Stores | None = None,
    clock: Clock | None = None,
    observer: Observer | None = None,
) -> FastAPI:
    """Build the ASGI application of ``families`` and of health; its lifespan opens and closes the gateway.

    ``stores`` stand in for those of the settings, ``clock`` for the machine's. Raises ConfigurationError for settings
    that cannot be used.
    """
    validate_settings(settings)
    set_log_level(settings.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, stores, clock) as gateway:
            app.state.gateway = gateway
            yield

    # A redirect would name whatever host the caller named, over plain HTTP, and take body and key there.
    app = GatewayApp(
        title="Obscura", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.trusted_proxies = settings.trusted_proxies
    app.add_middleware(AccessLogMiddleware, observer=observer)
    for exception in (ObscuraError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(exception, handle_error)
    app.add_exception_handler(ClientDisconnected, handle_disconnect)
    for family in (health, *families):
        app.include_router(family.router)
    return app


def create_app(settings: Settings, stores: Stores | None = None, clock: Clock | None = None) -> FastAPI:
    """Build the ASGI application; ``stores`` stand in for those of the settings, ``clock`` for the machine's.

    Raises ConfigurationError for settings that cannot be used.
    """
    return create_family_app(load_families(), settings, stores, clock)
