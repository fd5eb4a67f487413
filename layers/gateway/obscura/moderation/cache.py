"""Cache of clean verdicts: chats of several turns send their images again with each turn (ADR 34)."""

import asyncio
import hashlib
from datetime import timedelta

import pybase64

from obscura.access_record import AccessRecord
from obscura.clock import Clock
from obscura.errors import StoreUnavailable
from obscura.execution import ImageExecutor
from obscura.moderation.base import Moderator, Verdict, VerdictCache

VERDICT_TTL = timedelta(hours=24)
CACHE_TIMEOUT_S = 1.0


class CachingModerator:
    """A moderator that reviews no image again within ``VERDICT_TTL`` of a clean verdict.

    The key is the SHA-256 of the prepared image and the moderator's model. Flagged images and texts are never cached.
    If the cache is unavailable, the image is reviewed. Not for zero-retention requests.
    """

    def __init__(
        self,
        moderator: Moderator,
        verdicts: VerdictCache,
        executor: ImageExecutor,
        record: AccessRecord,
        clock: Clock,
    ) -> None:
        """``record`` is that of the one request which this moderator serves."""
        self.model = moderator.model
        self._moderator = moderator
        self._verdicts = verdicts
        self._executor = executor
        self._record = record
        self._clock = clock

    async def review_image(self, data_url: bytes) -> Verdict:
        """Return the cached verdict, or the moderator's."""
        digest = await self._executor.run(lambda: _digest(data_url, self.model))
        if await self._is_clean(digest):
            self._record.cached_verdicts += 1
            return Verdict(flagged=False)
        verdict = await self._moderator.review_image(data_url)
        if not verdict.flagged:
            await self._add_clean(digest)
        return verdict

    async def review_text(self, text: str) -> Verdict:
        """Return the moderator's verdict."""
        return await self._moderator.review_text(text)

    async def _is_clean(self, digest: bytes) -> bool:
        try:
            async with asyncio.timeout(CACHE_TIMEOUT_S):
                return await self._verdicts.is_clean(digest, self._clock.now())
        except (StoreUnavailable, TimeoutError):
            return False

    async def _add_clean(self, digest: bytes) -> None:
        now = self._clock.now()
        try:
            async with asyncio.timeout(CACHE_TIMEOUT_S):
                await self._verdicts.add_clean(digest, now, now + VERDICT_TTL)
        except (StoreUnavailable, TimeoutError):
            return


def _digest(data_url: bytes, model: str) -> bytes:
    """Hash the model's name, a zero byte, and the prepared bytes."""
    _, _, encoded = data_url.partition(b",")
    return hashlib.sha256(b"%b\0%b" % (model.encode(), pybase64.b64decode(encoded))).digest()
