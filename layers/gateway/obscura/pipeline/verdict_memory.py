"""The memory of clean verdicts: multi-turn chats send their pictures again with each turn."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pybase64

from obscura.errors import UpstreamUnavailable
from obscura.pipeline.journal import RequestJournal
from obscura.pipeline.workshop import Workshop
from obscura.ports import Moderator, Verdict, Verdicts

REMEMBERED = timedelta(hours=24)
ANSWERED_WITHIN_S = 1.0


class RememberingModerator:
    """A moderator that is not asked twice about a picture that it found clean within 24 hours.

    A picture is known by the SHA-256 of its prepared bytes and the moderator's model. Flagged pictures and texts are
    never remembered. When the memory cannot be had, the moderator is asked. Not for zero-retention callers.
    """

    def __init__(self, moderator: Moderator, verdicts: Verdicts, workshop: Workshop, journal: RequestJournal) -> None:
        """``journal`` is of the one request that this moderator serves."""
        self.model = moderator.model
        self._moderator = moderator
        self._verdicts = verdicts
        self._workshop = workshop
        self._journal = journal

    async def review_picture(self, data_url: bytes) -> Verdict:
        """Give a remembered verdict, or the moderator's."""
        digest = await self._workshop.run(lambda: _digest(data_url, self.model))
        if await self._is_clean(digest):
            self._journal.verdicts_remembered += 1
            return Verdict(flagged=False)
        verdict = await self._moderator.review_picture(data_url)
        if not verdict.flagged:
            await self._remember(digest)
        return verdict

    async def review_text(self, text: str) -> Verdict:
        """Ask the moderator."""
        return await self._moderator.review_text(text)

    async def _is_clean(self, digest: bytes) -> bool:
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                return await self._verdicts.is_clean(digest, datetime.now(UTC))
        except (UpstreamUnavailable, TimeoutError):
            return False

    async def _remember(self, digest: bytes) -> None:
        now = datetime.now(UTC)
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                await self._verdicts.remember_clean(digest, now, now + REMEMBERED)
        except (UpstreamUnavailable, TimeoutError):
            return


def _digest(data_url: bytes, model: str) -> bytes:
    """Hash the model's name, a zero byte, and the prepared bytes."""
    _, _, encoded = data_url.partition(b",")
    return hashlib.sha256(b"%b\0%b" % (model.encode(), pybase64.b64decode(encoded))).digest()
