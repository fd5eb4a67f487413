"""Networks that keep asking after a 429: refused from memory, and slowly (ADR 96)."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from obscura.access_record import AccessRecord, RateLimitStatus
from obscura.clock import Clock
from obscura.errors import FreeTierExhausted, RateLimitExceeded

type Refusal = FreeTierExhausted | RateLimitExceeded

REMEMBERED_S = 1
"""How long a network is refused without asking the store, which may say something else by then."""
REPEATED = 3
"""Refusals of a network within that time after which it is."""
DELAY_S = 0.25
MAX_NETWORKS = 10_000


@dataclass(slots=True)
class _Refused:
    """A network's refusals since ``began_s``: the last one, and how many."""

    began_s: float
    error: Refusal
    rate_limit: RateLimitStatus | None
    times: int = 1


class RecentRefusals:
    """The refusals of the last second in this process, by network. They belong to its event loop."""

    def __init__(self, clock: Clock, delay_s: float = DELAY_S) -> None:
        """Answer a repeated refusal after ``delay_s``: a network that asks in a loop then costs others little."""
        self._clock = clock
        self._delay_s = delay_s
        self._refused: OrderedDict[str, _Refused] = OrderedDict()

    async def repeat(self, network: str, record: AccessRecord) -> None:
        """Raise the last refusal of a network again, if it was refused ``REPEATED`` times in the last second."""
        refused = self._recent(network)
        if refused is None or refused.times < REPEATED:
            return
        record.rate_limit = refused.rate_limit
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        raise type(refused.error)(refused.error.message, retry_after_s=refused.error.retry_after_s)

    def add(self, network: str, error: Refusal, record: AccessRecord) -> None:
        """Note a refusal."""
        refused = self._recent(network)
        if refused is not None:
            refused.times += 1
            return
        # Not the error itself, whose traceback has the request.
        kept = type(error)(error.message, retry_after_s=error.retry_after_s)
        self._refused[network] = _Refused(self._now_s(), kept, record.rate_limit)
        self._refused.move_to_end(network)
        if len(self._refused) > MAX_NETWORKS:
            self._refused.popitem(last=False)

    def forget(self, network: str) -> None:
        """Ask the store about a network again: it got a request back."""
        self._refused.pop(network, None)

    def _recent(self, network: str) -> _Refused | None:
        refused = self._refused.get(network)
        if refused is None:
            return None
        since_s = self._now_s() - refused.began_s
        lasts_s = min(REMEMBERED_S, refused.error.retry_after_s or 0)
        return refused if 0 <= since_s < lasts_s else None

    def _now_s(self) -> float:
        return self._clock.now().timestamp()
