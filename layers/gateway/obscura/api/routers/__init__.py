"""One module per endpoint family; a family is what one Lambda function serves."""

from importlib import import_module
from typing import Protocol, cast

from fastapi import APIRouter

type Json = dict[str, object]

FAMILIES = {
    "chat": "obscura.api.routers.chat",
    "messages": "obscura.api.routers.messages",
    "responses": "obscura.api.routers.responses",
    "models": "obscura.api.routers.models",
    "files": "obscura.api.routers.files",
}
"""Every family by name; as strings, so that a Lambda function imports only its own."""


class Family(Protocol):
    """What a family's module defines; ``openapi`` describes the paths whose bodies FastAPI does not read."""

    router: APIRouter
    openapi: Json


def load_families() -> list[Family]:
    """Import every family, in the order of ``FAMILIES``."""
    return [cast("Family", import_module(module)) for module in FAMILIES.values()]
