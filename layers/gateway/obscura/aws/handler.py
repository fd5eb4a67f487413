"""Handler of a Lambda function: one family's application, with the settings and secrets of its environment."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from mangum import Mangum
from mangum.types import LambdaContext, LambdaEvent
from pydantic import SecretStr, ValidationError
from starlette.types import ASGIApp

from obscura.api.app import create_family_app
from obscura.api.routers import Family
from obscura.aws.api_gateway import LambdaScopeMiddleware, normalize_event
from obscura.aws.metrics import emit_metrics
from obscura.settings import PREFIX, ConfigurationError, Settings, setting_errors

TEXT_TYPES = ["text/", "application/json", "+json"]
"""Content types that a buffered response carries as text; Mangum encodes every other in base64."""

FLUSHING_FAMILIES = frozenset({"chat", "messages", "responses", "policy", "policies"})

SECRETS = frozenset(name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None)
"""The settings that are secrets: only these are read from SSM, so that the template shows everything else."""

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 1.5, 2.5
"""Two attempts of both fit into the ten seconds that Lambda allows for a start, so that it fails with a message."""


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
        return Settings.model_validate(read_secrets(settings.secrets_path)) if settings.secrets_path else settings
    except ValidationError as error:
        raise ConfigurationError("; ".join(setting_errors(error))) from None


def read_secrets(path: str) -> dict[str, SecretStr]:
    """Return the secrets below an SSM path by the setting that each is for: ``<path>/upstream-key`` is UPSTREAM_KEY."""
    # These import boto3, which is slow: only if there is a path (ADR 53).
    from aws_lambda_powertools.utilities.parameters import SSMProvider
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
    from botocore.config import Config

    config = Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, retries={"total_max_attempts": 2})
    try:
        stored = SSMProvider(boto_config=config).get_multiple(path, decrypt=True)
    except GetParameterError as error:
        raise ConfigurationError(f"{PREFIX}SECRETS_PATH: nothing can be read below {path}: {error}") from None
    by_setting = {name.replace("-", "_"): str(value) for name, value in stored.items()}
    return {name: SecretStr(value) for name, value in by_setting.items() if name in SECRETS}
