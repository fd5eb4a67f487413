"""Handler of a Lambda function: one family's application, with the settings and secrets of its environment."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from mangum import Mangum
from mangum.types import LambdaContext, LambdaEvent
from pydantic import ValidationError
from starlette.types import ASGIApp

from obscura.api.app import create_family_app
from obscura.api.routers import Family
from obscura.aws.api_gateway import LambdaScopeMiddleware, normalize_event
from obscura.aws.metrics import emit_metrics
from obscura.aws.secrets import with_secrets
from obscura.settings import ConfigurationError, Settings, setting_errors

TEXT_TYPES = ["text/", "application/json", "+json"]
"""Content types that a buffered response carries as text; Mangum encodes every other in base64."""

FLUSHING_FAMILIES = frozenset({"chat", "messages", "responses", "policy", "policies"})


def make_handler(family: Family) -> "LambdaHandler":
    """Make the handler of the function that serves ``family``; raises ConfigurationError, which fails the start."""
    logging.getLogger("botocore").setLevel(logging.INFO)  # at DEBUG, which AWS_LAMBDA_LOG_LEVEL may be, it logs secrets
    application = create_family_app((family,), settings_on_lambda(), observer=emit_metrics)
    return LambdaHandler(application, flushes=family.name in FLUSHING_FAMILIES)


def _flushing(application: FastAPI) -> ASGIApp:
    from obscura.aws.flush_events import FlushEventsMiddleware

    return FlushEventsMiddleware(application, lambda: application.state.services)


class LambdaHandler:
    """Called by AWS's runtime, it responds buffered; the streaming runtime uses ``app`` and ``lifespan`` instead."""

    def __init__(self, application: FastAPI, *, flushes: bool = False) -> None:
        """``flushes`` for a family whose requests make decision events or use tokens: nothing is sent while frozen."""
        self._application = application
        self.app = LambdaScopeMiddleware(_flushing(application) if flushes else application)
        self._buffered: Mangum | None = None
        self._open_lifespan: AbstractAsyncContextManager[object] | None = None

    def lifespan(self) -> AbstractAsyncContextManager[object]:
        """Open the application's services, with their connections, for the life of the environment."""
        return self._application.router.lifespan_context(self._application)

    def __call__(self, event: LambdaEvent, context: LambdaContext) -> dict[str, object]:
        """Return the whole response to one event."""
        if self._buffered is None:
            self._buffered = self._start_buffered()
        return self._buffered(normalize_event(event), context)

    def _start_buffered(self) -> Mangum:
        """Start the application once: Mangum would start and end it with each event."""
        logging.getLogger("mangum").setLevel(logging.CRITICAL + 1)  # it logs paths, and exceptions with what they quote
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._open_lifespan = self.lifespan()  # kept until the process ends: collected, it would close the services
        loop.run_until_complete(self._open_lifespan.__aenter__())
        return Mangum(self.app, lifespan="off", text_mime_types=TEXT_TYPES)


def settings_on_lambda() -> Settings:
    """Read the settings once, at the start; raises ConfigurationError, which names the setting and never its value."""
    try:
        settings = Settings()
        return with_secrets(settings) if settings.secrets_path else settings
    except ValidationError as error:
        raise ConfigurationError("; ".join(setting_errors(error))) from None
