"""The application as one machine serves it: every family."""

from fastapi import FastAPI

from obscura.config import Settings
from obscura.ports import Clock
from obscura.web.assembly import Family, assemble
from obscura.web.families import chat, files, messages, models, responses
from obscura.web.stores import Stores

FAMILIES: tuple[Family, ...] = (chat, messages, responses, models, files)


def build_app(settings: Settings, stores: Stores | None = None, clock: Clock | None = None) -> FastAPI:
    """Build the ASGI application; ``stores`` stand in for those of the settings, ``clock`` for the machine's.

    Raises ConfigurationError for settings that cannot be used.
    """
    return assemble(FAMILIES, settings, stores, clock)
