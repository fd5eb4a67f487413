"""A circuit breaker (M. Nygard, "Release It!", "Circuit Breaker"): what fails again and again is not asked for a while.

One for each upstream of the catalog and each moderation endpoint, shared by all requests of the process (ADR 166).
"""

import math
from collections.abc import Callable
from enum import Enum
from time import monotonic

FAILURES_TO_OPEN = 5
OPEN_S = 30.0


class Attempt(Enum):
    """A call that a breaker admits; a ``TRIAL`` is the one call that decides whether an open circuit closes."""

    ORDINARY = "ordinary"
    TRIAL = "trial"


class CircuitBreaker:
    """The circuit of one server: closed, open, or half open while one trial is under way.

    It opens after ``failures_to_open`` failures without a success between them, for ``open_s`` seconds, or for the
    Retry-After of the failure that opens it, if that is less. Every attempt that is admitted ends with one call of
    ``succeeded``, ``failed`` or ``abandoned``. Used from one event loop, without a lock.
    """

    def __init__(
        self, failures_to_open: int = FAILURES_TO_OPEN, open_s: float = OPEN_S, now: Callable[[], float] = monotonic
    ) -> None:
        self._failures_to_open = failures_to_open
        self._open_s = open_s
        self._now = now
        self._failures = 0
        self._open_until_s: float | None = None
        self._trial_under_way = False

    @property
    def wait_s(self) -> int:
        """The whole seconds until a trial may be made, at least 1."""
        left_s = 0.0 if self._open_until_s is None else self._open_until_s - self._now()
        return max(1, math.ceil(left_s))

    @property
    def is_closed(self) -> bool:
        """Whether calls are admitted without a trial."""
        return self._open_until_s is None

    def admit(self) -> Attempt | None:
        """Admit a call, or return None while the circuit is open, or half open with its trial under way."""
        if self._open_until_s is None:
            return Attempt.ORDINARY
        if self._trial_under_way or self._now() < self._open_until_s:
            return None
        self._trial_under_way = True
        return Attempt.TRIAL

    def succeeded(self, attempt: Attempt) -> None:
        """Close the circuit: the server answers. An error about the request itself is an answer."""
        self._failures = 0
        self._open_until_s = None
        if attempt is Attempt.TRIAL:
            self._trial_under_way = False

    def failed(self, attempt: Attempt, retry_after_s: int | None = None) -> None:
        """Count a failure; the one of a trial opens the circuit again."""
        self._failures += 1
        if attempt is Attempt.TRIAL:
            self._trial_under_way = False
        elif self._open_until_s is not None or self._failures < self._failures_to_open:
            return
        open_s = self._open_s if retry_after_s is None else min(self._open_s, retry_after_s)
        self._open_until_s = self._now() + open_s

    def abandoned(self, attempt: Attempt) -> None:
        """Forget a call whose caller went away: it shows nothing of the server."""
        if attempt is Attempt.TRIAL:
            self._trial_under_way = False
