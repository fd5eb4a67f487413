"""A door to knock at, without a server: stores in memory unless others are given, and a clock that stands still."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from obscura.pipeline.admit import Knock
from obscura.pipeline.door import AdmissionLimits, Door
from obscura.pipeline.journal import RequestJournal
from obscura.pipeline.networks import parse_address
from obscura.ports import Scope, Tokens
from tests.support.stores import OpenStores, sqlite_in_memory


@dataclass
class StillClock:
    """A time of day that a test moves by hand."""

    at: datetime = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@asynccontextmanager
async def a_door(
    open_stores: OpenStores = sqlite_in_memory,
    folder: Path = Path(),
    tokens: Tokens | None = None,
    limits: AdmissionLimits | None = None,
    open_in_outage: bool = False,
) -> AsyncIterator[Door]:
    async with open_stores(folder) as stores:
        yield Door(
            stores.keys,
            tokens,
            stores.rates,
            stores.quotas,
            stores.address_secret,
            StillClock(),
            limits or AdmissionLimits(),
            open_in_outage,
        )


def knock(
    headers: dict[str, str], address: str = "203.0.113.7", scope: Scope = Scope.CHAT, *, takes_place: bool = True
) -> Knock:
    return Knock(headers, parse_address(address), scope, RequestJournal("req_1"), takes_place)
