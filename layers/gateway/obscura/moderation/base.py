"""Where images come from, and what is said of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verdict:
    """What moderation says of one image or one text; ``category`` is the flagged one with the highest score."""

    flagged: bool
    category: str | None = None


class Moderator(Protocol):
    """Judges images and text. Raises ModerationUnavailable whenever there is no trustworthy verdict."""

    model: str
    """What judges: a verdict holds for this model only."""

    async def review_image(self, data_url: bytes) -> Verdict:
        """Judge one prepared image, an ASCII data URL: the very one that the model will see."""
        ...

    async def review_text(self, text: str) -> Verdict:
        """Judge all text of a request."""
        ...


class VerdictCache(Protocol):
    """Images that moderation has found clean. Every method raises StoreUnavailable."""

    async def is_clean(self, digest: bytes, at: datetime) -> bool:
        """Whether a clean verdict is remembered under this 32-byte digest and holds at ``at``."""
        ...

    async def add_clean(self, digest: bytes, at: datetime, until: datetime) -> None:
        """Remember, at ``at``, a clean verdict that holds until ``until``."""
        ...
