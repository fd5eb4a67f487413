"""What the log line of a request will say: sizes, formats, counts, codes and timings, never content."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from obscura.pipeline.allowance import Allowance


@dataclass(slots=True)
class PictureFacts:
    """One picture before and after preparation."""

    format: str
    bytes_before: int
    bytes_after: int
    pixels_before: str
    pixels_after: str
    tokens: int


@dataclass(slots=True)
class RequestJournal:
    """Facts gathered along the road; ``step_ms`` has each step's duration in milliseconds, in the order taken.

    ``allowance`` is that of a caller who is known; ``sent_out`` says whether anything of the request went to moderation
    or to the upstream.
    """

    request_id: str
    began_s: float = field(default_factory=perf_counter)
    dialect: str | None = None
    model: str | None = None
    streamed: bool = False
    project: str | None = None
    zero_retention: bool = False
    allowance: Allowance | None = None
    sent_out: bool = False
    body_bytes: int = 0
    pictures: list[PictureFacts] = field(default_factory=list)
    verdicts_remembered: int = 0
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

    def took_ms(self) -> float:
        """Give the milliseconds since the request began."""
        return round((perf_counter() - self.began_s) * 1000, 2)
