"""Allowance: how much a caller may still do in its window, as the ``x-ratelimit-…`` headers tell it."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from obscura.access_record import AccessRecord, RateLimitStatus, rfc3339
from obscura.auth.base import AddressSecret, ApiKeyStore, Counter, QuotaStore, RateCounter, TokenVerifier, Window
from obscura.clock import Clock
from obscura.errors import FreeTierExhausted, MissingCredentials, RateLimitExceeded


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How often callers may ask: by key and by token in a minute, by network in a day; 0 closes the free tier."""

    key_requests_per_minute: int = 120
    jwt_requests_per_minute: int = 30
    free_tier_requests: int = 1


@dataclass(frozen=True, slots=True)
class AccessControl:
    """Who knows the callers and who counts them.

    Without ``tokens`` no JWT is taken. With ``allow_cached_keys_in_outage``, callers with a cached key go on
    uncounted while the store cannot be reached; no other caller ever does.
    """

    keys: ApiKeyStore
    tokens: TokenVerifier | None
    rates: RateCounter
    quotas: QuotaStore
    address_secret: AddressSecret
    clock: Clock
    limits: RateLimits
    allow_cached_keys_in_outage: bool = False


type Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class NetworkQuota:
    """A network and how many times the free tier's requests it may make in all."""

    network: str
    times: int


_IPV6_QUOTAS = ((64, 1), (56, 8), (48, 32))
"""One household or host has a /64; its site may have a /56 or a /48 of them (RFC 6177 §2), hence the ceilings."""


def parse_address(text: str) -> Address | None:
    """Read an address; an IPv4-mapped one (RFC 4291 §2.5.5.2) is IPv4. None for anything else."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def network_quotas(address: Address) -> list[NetworkQuota]:
    """Return the networks that an address counts for, its own first."""
    if isinstance(address, IPv4Address):
        return [NetworkQuota(f"{address}/32", 1)]
    return [
        NetworkQuota(str(IPv6Network((int(address), length_bits), strict=False)), times)
        for length_bits, times in _IPV6_QUOTAS
    ]


def pseudonym(network: str, secret: bytes) -> str:
    """Return the HMAC-SHA256 of a network, in hexadecimal; without ``secret`` nobody can tell whose it is."""
    return hmac.digest(secret, network.encode(), hashlib.sha256).hex()


MINUTE_S = 60


async def enforce_rate_limit(subject: str, limit: int, access_control: AccessControl, record: AccessRecord) -> None:
    """Count one request of ``subject`` in the minute that it falls into, and note what it leaves.

    Raises RateLimitExceeded past ``limit``, or UpstreamUnavailable without the store.
    """
    now = access_control.clock.now()
    counter = Counter(subject, Window.around(now, MINUTE_S), limit)
    count = await access_control.rates.count(counter)
    record.rate_limit = counter.status(limit - count)
    if count > limit:
        wait_s = counter.window.seconds_left(now)
        raise RateLimitExceeded(
            f"Over the limit of {limit} requests a minute. Try again in {wait_s} s.", retry_after_s=wait_s
        )


def unmetered_status(limit: int, access_control: AccessControl) -> RateLimitStatus:
    """Return what is told to a caller who goes on while nothing can be counted."""
    return RateLimitStatus(limit, limit, Window.around(access_control.clock.now(), MINUTE_S).ends_at_s)


DAY_S = 24 * 60 * 60
FREE_TIER_PROJECT = "free tier"

_GET_A_KEY = (
    "For a key, ask the operator of this gateway ('obscura keys create --project NAME' makes one), "
    "and send it as 'Authorization: Bearer obs_…'."
)


def require_free_tier(access_control: AccessControl, address: Address | None) -> Address:
    """Return the address to count by; raises MissingCredentials where the free tier is closed or there is none."""
    if access_control.limits.free_tier_requests == 0:
        raise MissingCredentials(f"The free tier is not open here. {_GET_A_KEY}")
    if address is None:
        raise MissingCredentials(f"The free tier is not open to you: your address cannot be told. {_GET_A_KEY}")
    return address


async def reserve_free_request(
    address: Address, access_control: AccessControl, record: AccessRecord
) -> Sequence[Counter]:
    """Take one of the day's places of an address's networks; gives the counters that can give it back.

    Raises FreeTierExhausted, or UpstreamUnavailable without the store.
    """
    now, limit = access_control.clock.now(), access_control.limits.free_tier_requests
    window = day_window(now)
    counters = await quota_counters(address, limit, window, access_control.address_secret)
    left = await access_control.quotas.take(counters)
    record.rate_limit = counters[0].status(left or 0)
    if left is None:
        raise FreeTierExhausted(
            f"The free tier's requests of your network are used up ({limit} a day); the next are there from "
            f"{rfc3339(window.ends_at_s)} on. {_GET_A_KEY}",
            retry_after_s=window.seconds_left(now),
        )
    return counters


def day_window(now: datetime) -> Window:
    """Return the window of a moment: 24 hours, the same for all."""
    return Window.around(now, DAY_S)


async def quota_counters(address: Address, limit: int, window: Window, secret: AddressSecret) -> list[Counter]:
    """Return the counters of an address's networks, its own first, under names that tell nobody's address."""
    known = await secret.read()
    return [
        Counter(f"free:{pseudonym(share.network, known)}", window, limit * share.times)
        for share in network_quotas(address)
    ]


async def free_tier_rate_subject(address: Address, secret: AddressSecret) -> str:
    """Name an address's own network for requests that take no place, and are counted by the minute instead."""
    own, *_ = network_quotas(address)
    return f"glance:{pseudonym(own.network, await secret.read())}"
