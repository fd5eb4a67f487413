"""Which page of files a query asks for (OpenAI's API reference, "List files")."""

from collections.abc import Mapping
from dataclasses import dataclass

from obscura.errors import InvalidRequest
from obscura.wire.file_requests import PURPOSES

MOST_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class PageAsk:
    """At most ``limit`` files behind the id ``after``; None asks for all, or the first."""

    limit: int
    after: str | None
    newest_first: bool
    purpose: str | None


def read_page(query: Mapping[str, str]) -> PageAsk:
    """Read a query's parameters; raises InvalidRequest."""
    limit = query.get("limit", str(MOST_LISTED))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 7 and 1 <= int(limit) <= MOST_LISTED):
        raise InvalidRequest(f"'limit' must be a whole number from 1 to {MOST_LISTED:,}.", param="limit")
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise InvalidRequest("'order' must be asc or desc.", param="order")
    purpose = query.get("purpose")
    if purpose is not None and purpose not in PURPOSES:
        raise InvalidRequest(f"'purpose' must be one of {', '.join(PURPOSES)}.", param="purpose")
    return PageAsk(int(limit), query.get("after"), order == "desc", purpose)
