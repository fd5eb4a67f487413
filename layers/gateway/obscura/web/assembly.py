"""The application of some families: their routes over one gateway."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from obscura.config import Settings
from obscura.errors import ObscuraError
from obscura.pipeline.journal import RequestJournal
from obscura.pipeline.request import CallerGone
from obscura.ports import Clock
from obscura.web.composition import check_settings, open_gateway
from obscura.web.error_answer import answer_error
from obscura.web.families import health
from obscura.web.inbound import answer_nobody
from obscura.web.openapi import DescribedApp, Json
from obscura.web.request_log import RequestLog, set_log_level
from obscura.web.stores import Stores

type Observer = Callable[[RequestJournal], None]
"""Told of each request once it is over."""


class Family(Protocol):
    """A module of ``obscura.web.families``; ``openapi`` describes those of its paths that no framework reads."""

    router: APIRouter
    openapi: Json


def assemble(
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
    check_settings(settings)
    set_log_level(settings.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_gateway(settings, stores, clock) as gateway:
            app.state.gateway = gateway
            yield

    # A redirect would name whatever host the caller named, over plain HTTP, and take body and key there.
    app = DescribedApp(
        title="Obscura", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.trusted_proxies = settings.trusted_proxies
    app.add_middleware(RequestLog, observer=observer)
    for exception in (ObscuraError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(exception, answer_error)
    app.add_exception_handler(CallerGone, answer_nobody)
    for family in (health, *families):
        app.include_router(family.router)
    return app
