"""The application: every family's routes over one gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from obscura.config import Settings
from obscura.errors import NotFound, ObscuraError, UnsupportedOperation
from obscura.ports import Keys
from obscura.web.composition import open_gateway
from obscura.web.families import chat
from obscura.web.openapi import DescribedApp
from obscura.web.request_log import JOURNAL, RequestLog, set_log_level
from obscura.web.road_endpoint import error_headers
from obscura.wire.error_shapes import openai_error


def build_app(settings: Settings, keys: Keys | None = None) -> FastAPI:
    """Build the ASGI application; its lifespan opens and closes the gateway.

    ``keys`` stands in for the key store of the settings.
    """
    set_log_level(settings.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_gateway(settings, keys) as gateway:
            app.state.gateway = gateway
            yield

    app = DescribedApp(title="Obscura", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(RequestLog)
    app.add_exception_handler(HTTPException, _answer_unserved)
    app.add_api_route("/healthz", _healthz, methods=["GET"])
    app.include_router(chat.router)
    app.raw_paths = chat.openapi
    return app


async def _healthz() -> dict[str, str]:
    """Say that the process serves."""
    return {"status": "ok"}


async def _answer_unserved(request: Request, exception: Exception) -> Response:
    """Answer a path or a method that nobody serves."""
    headers = exception.headers if isinstance(exception, HTTPException) else None
    error: ObscuraError = NotFound("Nothing is served at this path. POST /v1/chat/completions is.")
    if headers and "Allow" in headers:
        error = UnsupportedOperation(f"This path takes {headers['Allow']} only.")
        error.answer_status, error.headers = 405, {"allow": headers["Allow"]}
    request.scope[JOURNAL].code = error.code
    return Response(openai_error(error), error.answer_status, error_headers(error), "application/json")
