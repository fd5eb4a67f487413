"""The application as one machine serves it: every family."""

from fastapi import FastAPI

from obscura.config import Settings
from obscura.ports import Keys
from obscura.web.assembly import assemble
from obscura.web.families import chat, messages, models, responses


def build_app(settings: Settings, keys: Keys | None = None) -> FastAPI:
    """Build the ASGI application; ``keys`` stands in for the key store of the settings.

    Raises ConfigurationError for settings that cannot be used.
    """
    return assemble((chat, messages, responses, models), settings, keys)
