"""Cache of clean verdicts: a conversation sends its images and texts again with each turn (ADR 34, ADR 68)."""

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from heapq import nlargest

import pybase64

from obscura.access_record import AccessRecord
from obscura.clock import Clock
from obscura.errors import StoreUnavailable
from obscura.moderation.base import Moderator, Verdict, VerdictCache

VERDICT_TTL = timedelta(hours=24)
CACHE_TIMEOUT_S = 1.0

MAX_TEXT_LOOKUPS = 1_000
"""Texts of one request that are looked up, the longest ones; the others fill few pieces: a lookup would cost more."""


class CleanVerdicts:
    """The clean verdicts that one request may use; a store that fails or is slow has none. Not for zero retention."""

    def __init__(self, verdicts: VerdictCache, record: AccessRecord, clock: Clock) -> None:
        """``record`` is that of the one request; the verdicts that it was spared are counted there."""
        self._verdicts = verdicts
        self._record = record
        self._clock = clock

    async def among(self, digests: Collection[bytes]) -> set[bytes]:
        """Return those of ``digests`` that were found clean within ``VERDICT_TTL``."""
        try:
            async with asyncio.timeout(CACHE_TIMEOUT_S):
                clean = await self._verdicts.clean_among(digests, self._clock.now())
        except (StoreUnavailable, TimeoutError):
            return set()
        self._record.cached_verdicts += len(clean)
        return clean

    async def add(self, digests: Collection[bytes]) -> None:
        """Store that these were found clean."""
        now = self._clock.now()
        try:
            async with asyncio.timeout(CACHE_TIMEOUT_S):
                await self._verdicts.add_clean_all(digests, now, now + VERDICT_TTL)
        except (StoreUnavailable, TimeoutError):
            return


class CachingModerator:
    """A moderator that reviews no image again within ``VERDICT_TTL`` of a clean verdict.

    The key is the SHA-256 of the prepared image and the moderator's identity. Flagged images are never cached, nor are
    verdicts of another endpoint than the one that was to be asked.
    """

    def __init__(self, moderator: Moderator, clean: CleanVerdicts) -> None:
        """``clean`` is the one request's."""
        self.identity = moderator.identity
        self.local = moderator.local
        self._moderator = moderator
        self._clean = clean

    async def review_image(self, data_url: bytes) -> Verdict:
        """Return the cached verdict, or the moderator's."""
        # Not in the image executor, where it would wait for the preparation of all other images.
        digest = await asyncio.to_thread(_image_digest, data_url, self.identity)
        if await self._clean.among([digest]):
            return Verdict(flagged=False, cached=True)
        verdict = await self._moderator.review_image(data_url)
        if not verdict.flagged and verdict.reviewer in {None, self.identity}:
            await self._clean.add([digest])
        return verdict

    async def review_text(self, text: str) -> Verdict:
        """Return the moderator's verdict: texts are cached one by one (``TextVerdicts``), not by the piece."""
        return await self._moderator.review_text(text)


class TextVerdicts:
    """The clean verdicts on single texts of one project, each valid only after the characters that it was found after.

    The key is the SHA-256 of the moderator's identity, the project, the text's context and the text: words that were
    found clean in one place are reviewed again in another, and no project learns what another one sent.
    """

    def __init__(self, clean: CleanVerdicts, identity: str, project: str) -> None:
        """``identity`` is the moderator's."""
        self._clean = clean
        self.identity = identity
        self._key = hashlib.sha256(b"text\0%b\0%b" % (identity.encode(), project.encode()))

    def digests(self, texts: Sequence[str], contexts: Sequence[str]) -> dict[int, bytes]:
        """Return the digest of each text that is worth a lookup, by its number."""
        numbers: Sequence[int] = range(len(texts))
        if len(texts) > MAX_TEXT_LOOKUPS:
            numbers = nlargest(MAX_TEXT_LOOKUPS, numbers, key=lambda number: len(texts[number]))
        return {number: self._digest(texts[number], contexts[number]) for number in numbers}

    async def unknown(self, count: int, digests: Mapping[int, bytes]) -> list[int]:
        """Return the numbers, out of ``count``, of the texts without a clean verdict."""
        clean = await self._clean.among(digests.values())
        return [number for number in range(count) if digests.get(number) not in clean]

    async def add(self, digests: Collection[bytes]) -> None:
        """Store that these texts were found clean."""
        await self._clean.add(digests)

    def _digest(self, text: str, context: str) -> bytes:
        before = context.encode()
        digest = self._key.copy()
        digest.update(b"\0%d\0%b" % (len(before), before))
        digest.update(text.encode())
        return digest.digest()


def _image_digest(data_url: bytes, identity: str) -> bytes:
    """Hash the moderator's identity, a zero byte, and the prepared bytes."""
    _, _, encoded = data_url.partition(b",")
    return hashlib.sha256(b"%b\0%b" % (identity.encode(), pybase64.b64decode(encoded))).digest()
