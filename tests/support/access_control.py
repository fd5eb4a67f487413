"""Access control without a server: stores in memory unless others are given, and a clock that stands still."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from obscura.access_record import AccessRecord
from obscura.auth.access import AccessRequest
from obscura.auth.base import KeyScope, TokenVerifier
from obscura.auth.limits import AccessControl, RateLimits, parse_address
from tests.support.stores import OpenStores, sqlite_in_memory


@dataclass
class FixedClock:
    """A time of day that a test moves by hand."""

    at: datetime = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@asynccontextmanager
async def access_control(
    open_stores: OpenStores = sqlite_in_memory,
    folder: Path | None = None,
    tokens: TokenVerifier | None = None,
    limits: RateLimits | None = None,
    allow_cached_keys_in_outage: bool = False,
) -> AsyncIterator[AccessControl]:
    with TemporaryDirectory() as temporary:
        async with open_stores(folder or Path(temporary)) as stores:
            yield AccessControl(
                stores.keys,
                tokens,
                stores.rates,
                stores.quotas,
                stores.address_secret,
                FixedClock(),
                limits or RateLimits(),
                allow_cached_keys_in_outage,
            )


def access_request(
    headers: dict[str, str],
    address: str = "203.0.113.7",
    scope: KeyScope = KeyScope.CHAT,
    *,
    uses_free_quota: bool = True,
) -> AccessRequest:
    return AccessRequest(headers, parse_address(address), scope, AccessRecord("req_1"), uses_free_quota)
