"""The handler of a function: one family's application, behind whichever of the two doors Lambda opens."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from mangum import Mangum
from mangum.types import LambdaContext, LambdaEvent

from obscura.api.app import create_family_app
from obscura.api.routers import Family
from obscura.aws.api_gateway import LambdaScopeMiddleware, normalize_event
from obscura.aws.metrics import emit_metrics
from obscura.aws.settings import settings_on_lambda

TEXT_TYPES = ["text/", "application/json", "+json"]
"""Content types that leave a buffered function as text; Mangum makes base64 of any other."""


def make_handler(family: Family) -> "LambdaHandler":
    """Make the handler of the function that serves ``family``; raises ConfigurationError, which fails the start."""
    logging.getLogger("botocore").setLevel(logging.INFO)  # at DEBUG, which AWS_LAMBDA_LOG_LEVEL may be, it logs secrets
    return LambdaHandler(create_family_app((family,), settings_on_lambda(), observer=emit_metrics))


class LambdaHandler:
    """Called by AWS's runtime, it answers buffered; the streaming runtime takes ``app`` and ``running`` instead."""

    def __init__(self, application: FastAPI) -> None:
        self._application = application
        self.app = LambdaScopeMiddleware(application)
        self._buffered: Mangum | None = None
        self._held_open: AbstractAsyncContextManager[object] | None = None

    def running(self) -> AbstractAsyncContextManager[object]:
        """Hold the application's gateway open, with its connections, for the life of the environment."""
        return self._application.router.lifespan_context(self._application)

    def __call__(self, event: LambdaEvent, context: LambdaContext) -> dict[str, object]:
        """Answer one event whole."""
        if self._buffered is None:
            self._buffered = self._start_buffered()
        return self._buffered(normalize_event(event), context)

    def _start_buffered(self) -> Mangum:
        """Start the application once: Mangum would start and end it with each event."""
        logging.getLogger("mangum").setLevel(logging.CRITICAL + 1)  # it logs paths, and faults with what they quote
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._held_open = self.running()  # held until the process ends: let go of, it would close the gateway
        loop.run_until_complete(self._held_open.__aenter__())
        return Mangum(self.app, lifespan="off", text_mime_types=TEXT_TYPES)
