"""The memory of clean verdicts: multi-turn chats send their images again with each turn."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pybase64

from obscura.access_record import AccessRecord
from obscura.errors import StoreUnavailable
from obscura.execution import ImageExecutor
from obscura.moderation.base import Moderator, Verdict, VerdictCache

VERDICT_TTL = timedelta(hours=24)
CACHE_TIMEOUT_S = 1.0


class CachingModerator:
    """A moderator that is not asked twice about an image that it found clean within 24 hours.

    An image is known by the SHA-256 of its prepared bytes and the moderator's model. Flagged images and texts are
    never remembered. When the memory cannot be had, the moderator is asked. Not for zero-retention callers.
    """

    def __init__(
        self, moderator: Moderator, verdicts: VerdictCache, executor: ImageExecutor, record: AccessRecord
    ) -> None:
        """``record`` is of the one request that this moderator serves."""
        self.model = moderator.model
        self._moderator = moderator
        self._verdicts = verdicts
        self._workshop = executor
        self._journal = record

    async def review_image(self, data_url: bytes) -> Verdict:
        """Return a remembered verdict, or the moderator's."""
        digest = await self._workshop.run(lambda: _digest(data_url, self.model))
        if await self._is_clean(digest):
            self._journal.cached_verdicts += 1
            return Verdict(flagged=False)
        verdict = await self._moderator.review_image(data_url)
        if not verdict.flagged:
            await self._remember(digest)
        return verdict

    async def review_text(self, text: str) -> Verdict:
        """Ask the moderator."""
        return await self._moderator.review_text(text)

    async def _is_clean(self, digest: bytes) -> bool:
        try:
            async with asyncio.timeout(CACHE_TIMEOUT_S):
                return await self._verdicts.is_clean(digest, datetime.now(UTC))
        except (StoreUnavailable, TimeoutError):
            return False

    async def _remember(self, digest: bytes) -> None:
        now = datetime.now(UTC)
        try:
            async with asyncio.timeout(CACHE_TIMEOUT_S):
                await self._verdicts.add_clean(digest, now, now + VERDICT_TTL)
        except (StoreUnavailable, TimeoutError):
            return


def _digest(data_url: bytes, model: str) -> bytes:
    """Hash the model's name, a zero byte, and the prepared bytes."""
    _, _, encoded = data_url.partition(b",")
    return hashlib.sha256(b"%b\0%b" % (model.encode(), pybase64.b64decode(encoded))).digest()
