"""Messages, and the count of their tokens."""

from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.routers import Family
from obscura.auth.base import KeyScope
from obscura.dialects.messages.request import CountTokensDialect
from obscura.dialects.registry import load_dialect
from obscura.pipeline.handle import handle_count_tokens

FAMILY = Family(
    name="messages",
    scope=KeyScope.MESSAGES,
    free_tier=True,
    streams=True,
    dialects=(
        DialectEndpoint(load_dialect("messages")),
        DialectEndpoint(CountTokensDialect(), handle_count_tokens),
    ),
)
