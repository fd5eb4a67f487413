"""A policy's own lists of images: SHA-256 of the bytes, and PDQ hashes that may differ in some bits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from obscura.policy.document import Images
from obscura.policy.facts import ImageFacts

PDQ_MIN_QUALITY = 50
"""Hashes of lower quality match by chance (facebook/ThreatExchange, pdq/README: "discard")."""

OFF_LOOP_COMPARISONS = 5_000
"""Of hashes of images with entries of lists: more takes over a millisecond."""


@dataclass(frozen=True, slots=True)
class HashHit:
    """What matched: ``sha256`` or ``pdq``, and in how many bits it differs."""

    hash_type: str
    distance: int


@dataclass(frozen=True, slots=True)
class _Entries:
    sha256: frozenset[str]
    pdq: tuple[int, ...]


@lru_cache(maxsize=64)
def _entries(hashes: tuple[str, ...]) -> _Entries:
    """Read a list; 64 digits alone are compared as both."""
    return _Entries(
        frozenset(entry[-64:] for entry in hashes if not entry.startswith("pdq:")),
        tuple(int(entry[-64:], 16) for entry in hashes if not entry.startswith("sha256:")),
    )


def asks_for_hashes(rules: Images) -> bool:
    """Whether images are compared with a list."""
    return bool(rules.blocked_hashes) or rules.allowed_hashes is not None


def asks_for_pdq(rules: Images) -> bool:
    """Whether a list has hashes of what an image shows."""
    return any(_entries(hashes).pdq for hashes in (rules.blocked_hashes, rules.allowed_hashes) if hashes)


def comparisons(rules: Images) -> int:
    """Return with how many entries an image is compared."""
    return len(rules.blocked_hashes) + len(rules.allowed_hashes or ())


def hash_hit(image: ImageFacts, hashes: tuple[str, ...], max_distance: int) -> HashHit | None:
    """Return the match of an image with a list: by SHA-256 of its source or prepared bytes, or else the nearest PDQ."""
    entries = _entries(hashes)
    if not entries.sha256.isdisjoint(digest for digest in (image.sha256, image.prepared_sha256) if digest):
        return HashHit("sha256", 0)
    if image.pdq is None or image.pdq_quality < PDQ_MIN_QUALITY:
        return None
    pdq = int(image.pdq, 16)
    distance = min(((pdq ^ entry).bit_count() for entry in entries.pdq), default=max_distance + 1)
    return HashHit("pdq", distance) if distance <= max_distance else None


def is_unknown(image: ImageFacts, hashes: Sequence[str]) -> bool:
    """Whether a hash that a list needs was not determined."""
    entries = _entries(tuple(hashes))
    no_sha256 = image.sha256 is None and image.prepared_sha256 is None
    return (bool(entries.sha256) and no_sha256) or (bool(entries.pdq) and image.pdq is None)
