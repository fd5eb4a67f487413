"""What the log line of a request will say: sizes, formats, counts, codes and timings, never content."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter

UNAUTHENTICATED_RESET_S = 60


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """Requests in a window, and when the next one begins, in seconds since 1970."""

    limit: int
    remaining: int
    resets_at_s: int

    @classmethod
    def unauthenticated(cls, now: datetime) -> "RateLimitStatus":
        """Return that of a caller who was not let in."""
        return cls(0, 0, int(now.timestamp()) + UNAUTHENTICATED_RESET_S)

    def plus_one(self) -> "RateLimitStatus":
        """Return what is left once a request's place was given back."""
        return replace(self, remaining=min(self.limit, self.remaining + 1))

    def headers(self) -> dict[str, str]:
        """Return the three headers; the reset is an instant (RFC 3339) in UTC."""
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": rfc3339(self.resets_at_s),
        }


def rfc3339(since_1970_s: int) -> str:
    """Write an instant as RFC 3339 has it, such as ``2026-03-01T12:00:00Z``."""
    return datetime.fromtimestamp(since_1970_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class ImageRecord:
    """One image before and after preparation."""

    format: str
    bytes_before: int
    bytes_after: int
    pixels_before: str
    pixels_after: str
    tokens: int


@dataclass(slots=True)
class AccessRecord:
    """Facts gathered along the road; ``step_ms`` has each step's duration in milliseconds, in the order taken.

    ``rate_limit`` is that of a known caller; ``left_gateway``: anything of the request went to moderation or upstream.
    """

    request_id: str
    began_s: float = field(default_factory=perf_counter)
    dialect: str | None = None
    model: str | None = None
    streamed: bool = False
    project: str | None = None
    rate_limit: RateLimitStatus | None = None
    left_gateway: bool = False
    zero_retention: bool = False
    body_bytes: int = 0
    images: list[ImageRecord] = field(default_factory=list)
    cached_verdicts: int = 0
    step_ms: dict[str, float] = field(default_factory=dict)
    status: int = 0
    code: str | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step of the road; it counts also when the step fails."""
        began_s = perf_counter()
        try:
            yield
        finally:
            self.step_ms[name] = round((perf_counter() - began_s) * 1000, 2)

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the request began."""
        return round((perf_counter() - self.began_s) * 1000, 2)
