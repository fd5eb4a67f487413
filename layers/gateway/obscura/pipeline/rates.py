"""Rates: so many requests a minute for whoever asks."""

from obscura.errors import RateLimitExceeded
from obscura.pipeline.allowance import Allowance
from obscura.pipeline.door import Door
from obscura.pipeline.journal import RequestJournal
from obscura.ports import Counter, Window

MINUTE_S = 60


async def count_request(subject: str, limit: int, door: Door, journal: RequestJournal) -> None:
    """Count one request of ``subject`` in the minute that it falls into, and note what it leaves.

    Raises RateLimitExceeded past ``limit``, or UpstreamUnavailable without the store.
    """
    now = door.clock.now()
    counter = Counter(subject, Window.around(now, MINUTE_S), limit)
    count = await door.rates.count(counter)
    journal.allowance = Allowance.of(counter, limit - count)
    if count > limit:
        wait_s = counter.window.seconds_left(now)
        raise RateLimitExceeded(
            f"Over the limit of {limit} requests a minute. Try again in {wait_s} s.", retry_after_s=wait_s
        )


def uncounted(limit: int, door: Door) -> Allowance:
    """Give what is told to a caller who goes on while nothing can be counted."""
    return Allowance(limit, limit, Window.around(door.clock.now(), MINUTE_S).ends_at_s)
