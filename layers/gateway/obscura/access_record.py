"""The access record: what the log line of a request will show. Sizes, counts, codes and timings, no content."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter
from types import TracebackType

UNAUTHENTICATED_RESET_S = 60
MAX_CATEGORIES = 32
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}")
_CATEGORY = re.compile(r"[A-Za-z][A-Za-z0-9_/.-]{0,63}")


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """The requests of a window that a caller has left, and when the next window begins, in seconds since 1970."""

    limit: int
    remaining: int
    resets_at_s: int

    @classmethod
    def unauthenticated(cls, now: datetime) -> "RateLimitStatus":
        """Return the status of a caller who was not admitted."""
        return cls(0, 0, int(now.timestamp()) + UNAUTHENTICATED_RESET_S)

    def plus_one(self) -> "RateLimitStatus":
        """Return the status after a request's quota was released."""
        return replace(self, remaining=min(self.limit, self.remaining + 1))

    def headers(self, now: datetime) -> dict[str, str]:
        """Return the three headers of every response; the reset is a duration as OpenAI writes it (ADR 123)."""
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": duration(self.resets_at_s - now.timestamp()),
        }

    def anthropic_headers(self) -> dict[str, str]:
        """Return the three that Messages has as well; the reset is an instant (API reference, "Rate limits")."""
        return {
            "anthropic-ratelimit-requests-limit": str(self.limit),
            "anthropic-ratelimit-requests-remaining": str(self.remaining),
            "anthropic-ratelimit-requests-reset": rfc3339(self.resets_at_s),
        }


def duration(seconds: float) -> str:
    """Format a time as OpenAI's rate limit headers do: ``1h0m0s``, ``1m12s``, ``8s``, ``350ms``; rounded up."""
    if seconds < 1:
        return f"{max(0, math.ceil(seconds * 1000))}ms" if seconds > 0 else "0s"
    minutes, rest_s = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest_s}s"


@lru_cache(maxsize=64)  # windows of many callers end together
def rfc3339(since_1970_s: int) -> str:
    """Format an instant as in RFC 3339, such as ``2026-03-01T12:00:00Z``."""
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
    """Facts of one request, filled in as it is handled.

    ``rate_limit`` is that of an admitted caller. ``left_gateway`` says that some of the request was sent to moderation
    or to the upstream. ``step_ms`` has the milliseconds of each step of the pipeline, from its first start to its last
    end; loading, preparation and moderation overlap, so that their sum may be more than the request took.
    ``cached_verdicts`` counts the images and texts that were not moderated again. ``moderation_scores`` are
    the highest of each category, none of a zero-retention request, ``moderation_fallbacks`` the verdicts of another
    endpoint than the first. ``upstream`` is the catalog's name of the one that answered, or whose error the caller got,
    ``upstreams_asked`` how many were, ``images_out`` how many images it has made. ``events`` have lines of their own in
    the log, by their names. ``first_byte_ms`` is when the first byte of the response's body was sent.

    For metrics and traces alone: ``endpoint`` is the path as the application names it, without what a caller wrote into
    it; ``upstream_calls`` has each call's upstream and how it ended, ``ok``, ``cancelled`` or an error's code;
    ``clean_verdicts`` and ``flagged_verdicts`` count what was reviewed and not cached; tokens are those of the answer;
    ``traceparent`` is the caller's header (W3C Trace Context).
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
    moderation_scores: dict[str, float] = field(default_factory=dict)
    moderation_fallbacks: int = 0
    upstream: str | None = None
    upstreams_asked: int | None = None
    images_out: int | None = None
    step_ms: dict[str, float] = field(default_factory=dict)
    step_began_s: dict[str, float] = field(default_factory=dict)
    first_byte_ms: float | None = None
    endpoint: str | None = None
    upstream_calls: list[tuple[str | None, str]] = field(default_factory=list)
    clean_verdicts: int = 0
    flagged_verdicts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    image_tokens: int = 0
    method: str = ""
    traceparent: str | None = None
    ended_ms: float = 0.0
    status: int = 0
    code: str | None = None
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def timed_step(self, name: str) -> "_TimedStep":
        """Time one step of the pipeline, as a context manager; a step that fails is timed too.

        A step that is begun several times, for several images at once, is timed from the first start.
        """
        return _TimedStep(self, name)

    def note_scores(self, scores: Mapping[str, float]) -> None:
        """Keep the highest score of each category that moderation reports; its names come from its server."""
        highest = self.moderation_scores
        for category, score in scores.items():
            if category in highest:
                highest[category] = max(score, highest[category])
            elif len(highest) < MAX_CATEGORIES and _CATEGORY.fullmatch(category):
                highest[category] = score

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the request began."""
        return _milliseconds_since(self.began_s)


class _TimedStep:
    """Not ``contextlib.contextmanager``: a request has seven steps, and a generator takes twice as long."""

    __slots__ = ("_began_s", "_name", "_record")

    def __init__(self, record: AccessRecord, name: str) -> None:
        self._record = record
        self._name = name

    def __enter__(self) -> None:
        self._began_s = self._record.step_began_s.setdefault(self._name, perf_counter())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._record.step_ms[self._name] = _milliseconds_since(self._began_s)


def _milliseconds_since(began_s: float) -> float:
    return round((perf_counter() - began_s) * 1000, 2)


def loggable(model: str | None) -> str | None:
    """Return a model's name, or a placeholder if it is none: a caller may send any text as ``model``."""
    return model if model is None or _MODEL_NAME.fullmatch(model) else "(not a name)"
