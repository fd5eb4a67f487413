"""The free tier: a few requests a day for each network, without any account."""

from collections.abc import Sequence
from datetime import datetime

from obscura.errors import FreeTierExhausted, MissingCredentials
from obscura.pipeline.allowance import Allowance, instant
from obscura.pipeline.door import Door
from obscura.pipeline.journal import RequestJournal
from obscura.pipeline.networks import Address, shares_of, stored_name
from obscura.ports import AddressSecret, Counter, Window

DAY_S = 24 * 60 * 60
PROJECT = "free tier"

_GET_A_KEY = (
    "For a key, ask the operator of this gateway ('obscura keys create --project NAME' makes one), "
    "and send it as 'Authorization: Bearer obs_…'."
)


def check_open(door: Door, address: Address | None) -> Address:
    """Give the address to count by; raises MissingCredentials where the free tier is closed or there is none."""
    if door.limits.free_tier_requests == 0:
        raise MissingCredentials(f"The free tier is not open here. {_GET_A_KEY}")
    if address is None:
        raise MissingCredentials(f"The free tier is not open to you: your address cannot be told. {_GET_A_KEY}")
    return address


async def take_place(address: Address, door: Door, journal: RequestJournal) -> Sequence[Counter]:
    """Take one of the day's places of an address's networks; gives the counters that can give it back.

    Raises FreeTierExhausted, or UpstreamUnavailable without the store.
    """
    now, limit = door.clock.now(), door.limits.free_tier_requests
    window = day_around(now)
    counters = await counters_of(address, limit, window, door.address_secret)
    left = await door.quotas.take(counters)
    journal.allowance = Allowance.of(counters[0], left or 0)
    if left is None:
        raise FreeTierExhausted(
            f"The free tier's requests of your network are used up ({limit} a day); the next are there from "
            f"{instant(window.ends_at_s)} on. {_GET_A_KEY}",
            retry_after_s=window.seconds_left(now),
        )
    return counters


def day_around(now: datetime) -> Window:
    """Give the window of a moment: 24 hours, the same for all."""
    return Window.around(now, DAY_S)


async def counters_of(address: Address, limit: int, window: Window, secret: AddressSecret) -> list[Counter]:
    """Give the counters of an address's networks, its own first, under names that tell nobody's address."""
    known = await secret.read()
    return [
        Counter(f"free:{stored_name(share.network, known)}", window, limit * share.times)
        for share in shares_of(address)
    ]


async def glance_subject(address: Address, secret: AddressSecret) -> str:
    """Name an address's own network for requests that take no place, and are counted by the minute instead."""
    own, *_ = shares_of(address)
    return f"glance:{stored_name(own.network, await secret.read())}"
