"""The ceiling of the free tier as a whole: how many requests of a day all networks together may send (ADR 150)."""

from datetime import datetime

from obscura.access_record import rfc3339
from obscura.auth.base import Counter, QuotaStore, Window
from obscura.errors import FreeTierExhausted

DAY_S = 24 * 60 * 60
SUBJECT = "free-tier"
"""The counter's name in the store; no network's begins like it (``free:…``)."""


def ceiling_counter(limit: int, now: datetime) -> Counter:
    """Return the counter of all networks' requests in the 24 hours in UTC that contain ``now``."""
    return Counter(SUBJECT, Window.around(now, DAY_S), limit)


async def reserve_below_ceiling(ceiling: Counter, networks: list[Counter], quotas: QuotaStore, now: datetime) -> int:
    """Count one request of all networks, after its own have counted it; return how many are left of the ceiling.

    The networks get theirs back past the ceiling, and if it cannot be counted. Raises FreeTierExhausted, or
    StoreUnavailable. It is one more conditional write, and no transaction: those of all networks would conflict on it.
    """
    left: int | None = None
    try:
        left = await quotas.reserve_shared(ceiling)
    finally:
        if left is None:
            await quotas.release(networks)
    if left is None:
        raise FreeTierExhausted(
            f"The free tier's requests of all networks together are used up ({ceiling.limit} a day); the next are "
            f"available from {rfc3339(ceiling.window.ends_at_s)} on. Send an API key.",
            retry_after_s=ceiling.window.seconds_left(now),
        )
    return left
