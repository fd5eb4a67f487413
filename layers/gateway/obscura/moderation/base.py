"""The Protocols of this package: a moderator, and the cache of its verdicts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one image or one text; ``category`` is the flagged category with the highest score.

    ``scores`` are those of all categories, from 0 to 1; a cached verdict has none. ``reviewer`` is the identity of the
    endpoint that gave it, if there are several; ``by_fallback`` says that it is not the first of them, ``cached`` that
    none was asked.
    """

    flagged: bool
    category: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict, compare=False)
    reviewer: str | None = field(default=None, compare=False)
    by_fallback: bool = field(default=False, compare=False)
    cached: bool = field(default=False, compare=False)


class Moderator(Protocol):
    """Reviews images and text. Raises ModerationUnavailable whenever there is no reliable verdict."""

    @property
    def identity(self) -> str:
        """The server, the model and the settings that review: a verdict is valid for these only."""
        ...

    local: bool
    """Whether text is reviewed in this process, where a verdict takes less time than its lookup in a cache."""

    async def review_image(self, data_url: bytes) -> Verdict:
        """Review one prepared image, an ASCII data URL: the very bytes that the upstream gets."""
        ...

    async def review_text(self, text: str) -> Verdict:
        """Review one piece of text, of at most ``pieces.MAX_PIECE_CHARS`` characters."""
        ...


class VerdictCache(Protocol):
    """Clean verdicts by 32-byte digest of what was reviewed. Every method raises StoreUnavailable.

    Any number of digests may be given; a store that is too busy for all of them finds and adds some.
    """

    async def clean_among(self, digests: Collection[bytes], at: datetime) -> set[bytes]:
        """Return those of ``digests`` under which a clean verdict is stored that is valid at ``at``."""
        ...

    async def add_clean_all(self, digests: Collection[bytes], at: datetime, until: datetime) -> None:
        """Store, at ``at``, a clean verdict under each digest, valid until ``until``."""
        ...

    async def clear(self) -> int:
        """Delete every verdict, and return how many there were; those that are added meanwhile may stay."""
        ...
