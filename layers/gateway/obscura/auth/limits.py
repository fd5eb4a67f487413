"""Rate limits and the free tier: how many requests a caller may send, and has left in its window."""

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from obscura.access_record import AccessRecord, RateLimitStatus, rfc3339
from obscura.auth.base import (
    AddressSecret,
    ApiKeyStore,
    Counter,
    Paused,
    QuotaStore,
    RateCounter,
    TokenVerifier,
    Window,
)
from obscura.auth.ceiling import DAY_S, ceiling_counter, reserve_below_ceiling
from obscura.auth.sharded_rates import ShardTurns, increment_shard
from obscura.clock import Clock
from obscura.errors import FreeTierExhausted, MissingCredentials, RateLimitExceeded

MINUTE_S = 60
REFUNDS_PER_REQUEST = 3
MAX_REFUSED_PER_MINUTE = 30
"""Refused requests of the free tier in a minute and network, after which the network waits for the next minute."""
FREE_TIER_PROJECT = "free tier"


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests of a key and of a JWT in a minute, and of a network in a day; 0 closes the free tier.

    ``free_tier_refunds`` are the requests of a day that a network gets back; without it, ``REFUNDS_PER_REQUEST`` times
    its requests. ``free_tier_daily_requests`` are those of all networks together in a day; None is no such ceiling.
    """

    key_requests_per_minute: int = 120
    jwt_requests_per_minute: int = 30
    free_tier_requests: int = 1
    free_tier_refunds: int | None = None
    free_tier_daily_requests: int | None = None

    @property
    def refunds(self) -> int:
        """The requests that a network gets back in a day."""
        if self.free_tier_refunds is None:
            return REFUNDS_PER_REQUEST * self.free_tier_requests
        return self.free_tier_refunds


@dataclass(frozen=True, slots=True)
class AccessControl:
    """The stores and limits by which callers are admitted.

    Without ``tokens`` no JWT is accepted. With ``allow_cached_keys_in_outage``, callers with a cached key are admitted
    uncounted while the store cannot be reached; no other caller ever is.
    """

    keys: ApiKeyStore
    tokens: TokenVerifier | None
    rates: RateCounter
    quotas: QuotaStore
    address_secret: AddressSecret
    clock: Clock
    limits: RateLimits
    allow_cached_keys_in_outage: bool = False
    shard_turns: ShardTurns = field(default_factory=ShardTurns)


async def enforce_rate_limit(
    subject: str, limit: int, access_control: AccessControl, record: AccessRecord, shards: int = 1
) -> None:
    """Count one request of ``subject`` in the current minute, in one of its ``shards``, and note what is left.

    Raises RateLimitExceeded past ``limit``, or StoreUnavailable.
    """
    now = access_control.clock.now()
    window = Window.around(now, MINUTE_S)
    if shards > 1:
        passes, left = await increment_shard(
            access_control.rates, Counter(subject, window, limit), shards, access_control.shard_turns
        )
    else:
        count = await access_control.rates.increment(subject, window)
        passes, left = count <= limit, max(0, limit - count)
    record.rate_limit = RateLimitStatus(limit, left, window.ends_at_s)
    if not passes:
        raise _rate_limit_exceeded(limit, window.seconds_left(now))


def _rate_limit_exceeded(limit: int, wait_s: int) -> RateLimitExceeded:
    return RateLimitExceeded(
        f"Over the limit of {limit} requests a minute. Try again in {wait_s} s.", retry_after_s=wait_s
    )


def unmetered_status(limit: int, access_control: AccessControl) -> RateLimitStatus:
    """Return the status of a caller who is admitted while requests cannot be counted."""
    return RateLimitStatus(limit, limit, Window.around(access_control.clock.now(), MINUTE_S).ends_at_s)


type Address = IPv4Address | IPv6Address

_IPV6_QUOTAS = ((64, 1), (56, 8), (48, 32))
"""One household or host has a /64; its site may have a /56 or a /48 of them (RFC 6177 §2), hence the ceilings."""

_GET_A_KEY = (
    "For a key, ask the operator of this gateway ('obscura keys create --project NAME' makes one), "
    "and send it as 'Authorization: Bearer obs_…'."
)


@dataclass(frozen=True, slots=True)
class NetworkQuota:
    """A network, and by how much the free tier's limit is multiplied for it."""

    network: str
    multiplier: int


def parse_address(text: str) -> Address | None:
    """Parse an address; an IPv4-mapped one (RFC 4291 §2.5.5.2) is IPv4. None for anything else."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def counted_address(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, if it stands for one; any other address as it is.

    One IPv4 host would else have a count in each form: IPv4-compatible (RFC 4291 §2.5.5.1), IPv4-translated (RFC
    2765 §2.1), behind NAT64 (RFC 6052 §2.1, RFC 8215), 6to4 (RFC 3056 §2), Teredo (RFC 4380 §4). It is for counting
    alone: a form of a trusted proxy's address is not trusted.
    """
    if isinstance(address, IPv4Address):
        return address
    bits = int(address)
    if bits >> 32 in _IPV4_IN_LAST_32_BITS and bits > _LAST_RESERVED:
        return IPv4Address(bits & 0xFFFFFFFF)
    if bits >> 80 == _LOCAL_NAT64:
        return _behind_local_nat64(address.packed)
    if address.sixtofour is not None:
        return address.sixtofour
    return address if address.teredo is None else address.teredo[1]


_IPV4_IN_LAST_32_BITS = frozenset(int(IPv6Address(prefix)) >> 32 for prefix in ("::", "::ffff:0:0:0", "64:ff9b::"))
_LAST_RESERVED = 1
"""``::`` and ``::1``, which stand for no IPv4 address."""

_LOCAL_NAT64 = int(IPv6Address("64:ff9b:1::")) >> 80
_NAT64_OCTETS = {3: (9, 10, 11, 12), 4: (7, 9, 10, 11), 5: (6, 7, 9, 10)}
"""By the zeros at the end, where the octets of the IPv4 address are below prefixes of 64, 56 and 48 bits."""


def _behind_local_nat64(octets: bytes) -> IPv4Address:
    """Return the IPv4 address of one in 64:ff9b:1::/48, whose operator chose the prefix's length (RFC 6052 §2.2).

    Zeros at the end tell the length, unless the IPv4 address itself ends in one.
    """
    zeros = len(octets) - len(octets.rstrip(b"\0"))
    places = _NAT64_OCTETS.get(min(zeros, 5), (12, 13, 14, 15))
    return IPv4Address(bytes(octets[place] for place in places))


def network_quotas(address: Address) -> list[NetworkQuota]:
    """Return the networks by which an address is counted, the smallest first."""
    counted = counted_address(address)
    if isinstance(counted, IPv4Address):
        return [NetworkQuota(f"{counted}/32", 1)]
    return [
        NetworkQuota(str(IPv6Network((int(counted), length_bits), strict=False)), multiplier)
        for length_bits, multiplier in _IPV6_QUOTAS
    ]


def pseudonym(network: str, secret: bytes) -> str:
    """Return the HMAC-SHA256 of a network, in hexadecimal; it cannot be reversed without ``secret``."""
    return hmac.digest(secret, network.encode(), hashlib.sha256).hex()


def require_free_tier(access_control: AccessControl, address: Address | None) -> Address:
    """Return the address to count by; raises MissingCredentials if the free tier is closed or the address unknown."""
    if access_control.limits.free_tier_requests == 0:
        raise MissingCredentials(f"The free tier is not open here. {_GET_A_KEY}")
    if address is None:
        raise MissingCredentials(f"The free tier is not open to you: your address is unknown. {_GET_A_KEY}")
    return address


@dataclass(frozen=True, slots=True)
class FreeRequest:
    """A free request that was reserved, by the counters of the client's networks, the smallest network first.

    ``refunds`` count the requests that the networks got back in the same day; ``ceiling`` those of all networks.
    """

    counters: Sequence[Counter]
    refunds: Sequence[Counter]
    ceiling: Counter | None = None


async def reserve_free_request(address: Address, access_control: AccessControl, record: AccessRecord) -> FreeRequest:
    """Count one of the day's free requests for an address's networks.

    Raises FreeTierExhausted, RateLimitExceeded after too many refused requests in this minute, or StoreUnavailable.
    """
    now, limits = access_control.clock.now(), access_control.limits
    window = day_window(now)
    counters = await quota_counters(address, limits.free_tier_requests, window, access_control.address_secret)
    try:
        left = await access_control.quotas.reserve(counters, int(now.timestamp()))
    except Paused as pause:
        record.rate_limit = RateLimitStatus(counters[0].limit, 0, pause.until_s)
        raise RateLimitExceeded(
            f"Over {MAX_REFUSED_PER_MINUTE} requests of your network were refused in a minute. Correct them, and try "
            f"again from {rfc3339(pause.until_s)} on. {_GET_A_KEY}",
            retry_after_s=max(1, pause.until_s - int(now.timestamp())),
        ) from None
    record.rate_limit = RateLimitStatus(counters[0].limit, left or 0, window.ends_at_s)
    if left is None:
        raise FreeTierExhausted(
            f"The free tier's requests of your network are used up ({limits.free_tier_requests} a day, and "
            f"{limits.refunds} refused ones that are not counted); the next are available from "
            f"{rfc3339(window.ends_at_s)} on. {_GET_A_KEY}",
            retry_after_s=window.seconds_left(now),
        )
    ceiling = limits.free_tier_daily_requests and ceiling_counter(limits.free_tier_daily_requests, now)
    if not ceiling:
        return FreeRequest(counters, refund_counters(counters, limits))
    record.rate_limit = RateLimitStatus(counters[0].limit, 0, window.ends_at_s)
    left_of_all = await reserve_below_ceiling(ceiling, counters, access_control.quotas, now)
    record.rate_limit = RateLimitStatus(counters[0].limit, min(left, left_of_all), window.ends_at_s)
    return FreeRequest(counters, refund_counters(counters, limits), ceiling)


def refund_counters(counters: Sequence[Counter], limits: RateLimits) -> list[Counter]:
    """Return the counters of the requests that networks get back, with the same ceilings for the larger ones."""
    return [
        Counter(
            f"{counter.subject}#refunds",
            counter.window,
            limits.refunds * (counter.limit // max(1, limits.free_tier_requests)),
        )
        for counter in counters
    ]


async def refund_free_request(request: FreeRequest, access_control: AccessControl) -> bool:
    """Return a refused request, if the network has any refund left today, and count it among the refused ones.

    The networks that had too many of those in this minute are paused until its end. The result is whether it was
    returned; raises StoreUnavailable.
    """
    minute = Window.around(access_control.clock.now(), MINUTE_S)
    refused = await asyncio.gather(
        *[access_control.rates.increment(f"{counter.subject}#refused", minute) for counter in request.counters]
    )
    for counter, count in zip(request.counters, refused, strict=True):
        multiplier = counter.limit // max(1, access_control.limits.free_tier_requests)
        if count >= MAX_REFUSED_PER_MINUTE * multiplier:
            await access_control.quotas.pause(counter, minute.ends_at_s)
    returned = await access_control.quotas.release(request.counters, request.refunds)
    if returned and request.ceiling:
        await access_control.quotas.release_shared(request.ceiling)
    return returned


def day_window(now: datetime) -> Window:
    """Return the 24 hours in UTC that contain ``now``."""
    return Window.around(now, DAY_S)


async def quota_counters(address: Address, limit: int, window: Window, secret: AddressSecret) -> list[Counter]:
    """Return the counters of an address's networks, the smallest first, under names that do not reveal the address."""
    known = await secret.read()
    return [
        Counter(f"free:{pseudonym(quota.network, known)}", window, limit * quota.multiplier)
        for quota in network_quotas(address)
    ]


async def minute_counters(address: Address, limit: int, window: Window, secret: AddressSecret) -> list[Counter]:
    """Return the counters of an address's networks in a minute, for requests that take none of the day's."""
    known = await secret.read()
    return [
        # The name in the store, which earlier versions count by too.
        Counter(f"glance:{pseudonym(quota.network, known)}", window, limit * quota.multiplier)
        for quota in network_quotas(address)
    ]


async def enforce_free_tier_rate(address: Address, access_control: AccessControl, record: AccessRecord) -> None:
    """Count a request that takes none of the day's, such as one that counts tokens, in this minute of its networks.

    Raises RateLimitExceeded, or StoreUnavailable.
    """
    now, limit = access_control.clock.now(), access_control.limits.jwt_requests_per_minute
    window = Window.around(now, MINUTE_S)
    counters = await minute_counters(address, limit, window, access_control.address_secret)
    left = await access_control.quotas.reserve(counters)
    record.rate_limit = RateLimitStatus(limit, left or 0, window.ends_at_s)
    if left is None:
        raise _rate_limit_exceeded(limit, window.seconds_left(now))
