"""The application: every family's routes over one gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from obscura.config import Settings
from obscura.errors import ObscuraError
from obscura.pipeline.request import CallerGone
from obscura.ports import Clock
from obscura.web.composition import check_settings, open_gateway
from obscura.web.error_answer import answer_error
from obscura.web.families import chat, files, messages, models, responses
from obscura.web.inbound import answer_nobody
from obscura.web.openapi import DescribedApp
from obscura.web.request_log import RequestLog, set_log_level
from obscura.web.stores import Stores


def build_app(settings: Settings, stores: Stores | None = None, clock: Clock | None = None) -> FastAPI:
    """Build the ASGI application; its lifespan opens and closes the gateway.

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

    app = DescribedApp(title="Obscura", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.trusted_proxies = settings.trusted_proxies
    app.add_middleware(RequestLog)
    for exception in (ObscuraError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(exception, answer_error)
    app.add_exception_handler(CallerGone, answer_nobody)
    app.add_api_route("/healthz", _healthz, methods=["GET"])
    for family in (chat, messages, responses, models, files):
        app.include_router(family.router)
    app.raw_paths = chat.openapi | messages.openapi | responses.openapi
    return app


async def _healthz() -> dict[str, str]:
    """Say that the process serves."""
    return {"status": "ok"}
