"""The Protocols of this package: a moderator, and the cache of its verdicts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one image or one text; ``category`` is the flagged category with the highest score."""

    flagged: bool
    category: str | None = None


class Moderator(Protocol):
    """Reviews images and text. Raises ModerationUnavailable whenever there is no reliable verdict."""

    model: str
    """The model that reviews: a verdict is valid for this model only."""

    async def review_image(self, data_url: bytes) -> Verdict:
        """Review one prepared image, an ASCII data URL: the very bytes that the upstream gets."""
        ...

    async def review_text(self, text: str) -> Verdict:
        """Review all text of a request."""
        ...


class VerdictCache(Protocol):
    """Clean verdicts by digest of the image. Every method raises StoreUnavailable."""

    async def is_clean(self, digest: bytes, at: datetime) -> bool:
        """Whether a clean verdict is stored under this 32-byte digest and valid at ``at``."""
        ...

    async def add_clean(self, digest: bytes, at: datetime, until: datetime) -> None:
        """Store, at ``at``, a clean verdict that is valid until ``until``."""
        ...
