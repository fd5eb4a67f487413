"""Responses, with and without ``/v1``."""

from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.routers import Family
from obscura.auth.base import KeyScope
from obscura.dialects.registry import load_dialect

FAMILY = Family(
    name="responses",
    scope=KeyScope.RESPONSES,
    free_tier=True,
    streams=True,
    dialects=(DialectEndpoint(load_dialect("responses")),),
)
