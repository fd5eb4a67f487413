"""The moderation of one request: its calls are bounded all together, and a client that leaves ends them."""

import asyncio
from contextlib import closing

import pytest

from obscura.access_record import AccessRecord, ImageRecord
from obscura.clock import SystemClock
from obscura.errors import ModerationBlocked, RequestTooLarge
from obscura.moderation.base import Verdict
from obscura.moderation.cache import MAX_TEXT_LOOKUPS, CleanVerdicts, TextVerdicts
from obscura.moderation.pieces import MAX_PIECE_CHARS
from obscura.pipeline.moderate import MAX_IMAGE_CALLS, MAX_TEXT_CALLS, Moderation, require_text_length
from obscura.pipeline.prepare import PreparedImagePart
from obscura.stores.sqlite.counters import SqliteVerdictCache
from obscura.stores.sqlite.database import open_database

IMAGE = PreparedImagePart("path", b"data:,", 1, ImageRecord("PNG", 1, 1, "1x1", "1x1", 1))
TEXT = "word " * 30_000


class PatientModerator:
    """Answers a call only when ``at_once`` calls are under way, or on ``go``."""

    identity = "patient"
    local = False

    def __init__(self, at_once: int, flagged: str = "(none)") -> None:
        self.at_once = at_once
        self.flagged = flagged
        self.under_way = 0
        self.most = 0
        self.texts: list[str] = []
        self.go = asyncio.Event()

    async def review_image(self, data_url: bytes) -> Verdict:
        return await self._review("image")

    async def review_text(self, text: str) -> Verdict:
        self.texts.append(text)
        return await self._review(text)

    async def _review(self, content: str) -> Verdict:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.under_way == self.at_once:
                self.go.set()
            await self.go.wait()
            for _ in range(3):
                await asyncio.sleep(0)
            return Verdict(self.flagged in content, "hate" if self.flagged in content else None)
        finally:
            self.under_way -= 1


async def test_all_texts_of_a_request_share_one_bound() -> None:
    moderator = PatientModerator(MAX_TEXT_CALLS)
    moderation = Moderation(moderator)

    async with asyncio.timeout(10):
        await asyncio.gather(*[moderation.review_texts([TEXT]) for _ in range(3)])

    assert moderator.most == MAX_TEXT_CALLS
    assert len(moderator.texts) > 3 * len(TEXT) // MAX_PIECE_CHARS


async def test_the_images_of_a_request_are_reviewed_some_at_a_time() -> None:
    moderator = PatientModerator(MAX_IMAGE_CALLS)
    moderation = Moderation(moderator)

    async with asyncio.timeout(10):
        await asyncio.gather(*[moderation.review_image(IMAGE) for _ in range(100)])

    assert moderator.most == MAX_IMAGE_CALLS


async def test_a_flagged_piece_ends_the_calls_under_way() -> None:
    moderator = PatientModerator(MAX_TEXT_CALLS, flagged="awful")

    async with asyncio.timeout(10):
        with pytest.raises(ModerationBlocked):
            await Moderation(moderator).review_texts(["awful " + TEXT])

    assert moderator.under_way == 0
    assert len(moderator.texts) <= 2 * MAX_TEXT_CALLS


async def test_a_client_that_leaves_ends_the_calls_under_way() -> None:
    moderator = PatientModerator(MAX_TEXT_CALLS + 1)
    reviewing = asyncio.create_task(Moderation(moderator).review_texts([TEXT]))
    async with asyncio.timeout(10):
        while moderator.under_way < MAX_TEXT_CALLS:
            await asyncio.sleep(0)

    reviewing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reviewing

    assert moderator.under_way == 0


@pytest.mark.parametrize("texts", [[], [""], [" \n", "\t"]])
async def test_no_text_needs_no_call(texts: list[str]) -> None:
    moderator = PatientModerator(1)

    await Moderation(moderator).review_texts(texts)

    assert moderator.texts == []


async def test_of_thousands_of_texts_the_longest_are_looked_up() -> None:
    record = AccessRecord("req_1")
    texts = ["tiny"] * 2000 + [f"{number}: somewhat longer" for number in range(MAX_TEXT_LOOKUPS)]
    with closing(open_database(None)) as database:
        verdicts = TextVerdicts(CleanVerdicts(SqliteVerdictCache(database), record, SystemClock()), "patient", "p")
        first, second = PatientModerator(1), PatientModerator(1)

        await Moderation(first, verdicts).review_texts(texts)
        await Moderation(second, verdicts).review_texts(texts)

    assert record.cached_verdicts == MAX_TEXT_LOOKUPS
    assert sum(text.count("longer") for text in first.texts) >= MAX_TEXT_LOOKUPS
    assert sum(text.count("longer") for text in second.texts) == 0
    assert sum(text.count("tiny") for text in second.texts) >= 2000


@pytest.mark.parametrize(
    ("chars", "max_chars", "anonymous", "message"),
    [
        (11, 10, False, "has 11 characters of text; the limit is 10. Shorten it"),
        (11, 10, True, "has 11 characters of text; the limit is 10. Shorten it"),
        (100_001, 4_000_000, True, "the free tier takes 100,000. Shorten it, or send an API key: with one, 4,000,000"),
    ],
)
def test_a_text_over_the_limit_names_it(chars: int, max_chars: int, message: str, *, anonymous: bool) -> None:
    require_text_length(["a" * (chars - 1)], max_chars, anonymous=anonymous)

    with pytest.raises(RequestTooLarge, match=message):
        require_text_length(["a" * (chars - 1), "b"], max_chars, anonymous=anonymous)
