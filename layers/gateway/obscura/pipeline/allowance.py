"""Allowance: how much a caller may still do in its window, as the ``x-ratelimit-…`` headers tell it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from obscura.ports import Counter

NOT_LET_IN_S = 60


@dataclass(frozen=True, slots=True)
class Allowance:
    """Requests in a window, and when the next one begins, in seconds since 1970."""

    limit: int
    remaining: int
    resets_at_s: int

    @classmethod
    def of(cls, counter: Counter, remaining: int) -> "Allowance":
        """Give what is left of a counter."""
        return cls(counter.limit, max(0, remaining), counter.window.ends_at_s)

    @classmethod
    def of_nobody(cls, now: datetime) -> "Allowance":
        """Give that of a caller who was not let in."""
        return cls(0, 0, int(now.timestamp()) + NOT_LET_IN_S)

    def with_one_back(self) -> "Allowance":
        """Give what is left once a request's place was given back."""
        return replace(self, remaining=min(self.limit, self.remaining + 1))

    def headers(self) -> dict[str, str]:
        """Give the three headers; the reset is an instant (RFC 3339) in UTC."""
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": instant(self.resets_at_s),
        }


def instant(since_1970_s: int) -> str:
    """Write an instant as RFC 3339 has it, such as ``2026-03-01T12:00:00Z``."""
    return datetime.fromtimestamp(since_1970_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
