"""Moderate a request: each image and each piece of text in a call of its own. Without a verdict nothing passes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.dialects.base import ContentLimits
from obscura.dialects.content import text_too_long
from obscura.errors import ModerationBlocked
from obscura.execution import gather_or_raise_first, run_off_loop
from obscura.moderation.base import Moderator, Verdict
from obscura.moderation.cache import CachingModerator, CleanVerdicts, TextVerdicts
from obscura.moderation.pieces import JoinedTexts, contexts_of, join
from obscura.pipeline.prepare import PreparedImagePart
from obscura.pipeline.services import Services

MAX_IMAGE_CALLS = 16
MAX_TEXT_CALLS = 8
OFF_LOOP_CHARS = 100_000
OFF_LOOP_TEXTS = 500
FREE_TIER_TEXT_CHARS = 100_000


def with_text_limit(content: ContentLimits, max_chars: int, *, anonymous: bool) -> ContentLimits:
    """Return the limits of a request's content with that of its text: ``max_chars``, or less for the free tier."""
    text_chars = min(max_chars, FREE_TIER_TEXT_CHARS) if anonymous else max_chars
    return replace(content, text_chars=text_chars, key_text_chars=max_chars)


def require_text_length(texts: Sequence[str], max_chars: int, *, anonymous: bool) -> None:
    """Raise RequestTooLarge if the texts of a request have over ``max_chars`` characters, or the free tier's limit."""
    limits = with_text_limit(ContentLimits(), max_chars, anonymous=anonymous)
    chars = sum(map(len, texts))
    if chars > limits.text_chars:
        raise text_too_long(chars, limits)


@dataclass(frozen=True, slots=True)
class _Texts:
    """Texts with their contexts and, if verdicts are cached, the digests of those that are looked up."""

    texts: Sequence[str]
    contexts: Sequence[str]
    digests: dict[int, bytes]


type Observe = Callable[[Literal["text", "image"], str | None, Verdict], None]
"""Called with what a verdict is on, its JSON path if it has one, and the verdict."""


class Moderation:
    """The moderation of one request. Its calls may begin at any time, and are bounded all together."""

    def __init__(
        self, moderator: Moderator, verdicts: TextVerdicts | None = None, observe: Observe | None = None
    ) -> None:
        """``verdicts`` spare texts that were found clean; ``observe`` is called with every verdict."""
        self._moderator = moderator
        self._verdicts = verdicts
        self._observe = observe
        self._image_calls = asyncio.Semaphore(MAX_IMAGE_CALLS)
        self._text_calls = asyncio.Semaphore(MAX_TEXT_CALLS)

    async def review_image(self, image: PreparedImagePart) -> None:
        """Raise ModerationBlocked if the image is flagged, ModerationUnavailable if there is no verdict."""
        async with self._image_calls:
            verdict = await self._moderator.review_image(image.data_url)
        if self._observe is not None:
            self._observe("image", image.path, verdict)
        if verdict.flagged:
            raise blocked(image.name, verdict.category, image.path)

    async def review_texts(self, texts: Sequence[str]) -> None:
        """Review all texts whole, but for those that are known to be clean; raises what ``review_image`` raises.

        The first piece that is flagged or has no verdict ends the calls under way.
        """
        large = len(texts) > OFF_LOOP_TEXTS or sum(map(len, texts)) > OFF_LOOP_CHARS
        read = await run_off_loop(lambda: self._read(texts), off_loop=large)
        numbers: Sequence[int] = range(len(read.texts))
        if self._verdicts is not None and numbers:
            numbers = await self._verdicts.unknown(len(numbers), read.digests)
        if numbers:
            joined = await run_off_loop(lambda: join(read.texts, read.contexts, numbers), off_loop=large)
            await self._review_joined(joined, [read.digests.get(number) for number in numbers])

    def _read(self, texts: Sequence[str]) -> _Texts:
        written = [text for text in texts if text and not text.isspace()]
        contexts = contexts_of(written)
        return _Texts(written, contexts, self._verdicts.digests(written, contexts) if self._verdicts else {})

    async def _review_joined(self, joined: JoinedTexts, digests: Sequence[bytes | None]) -> None:
        pieces = iter(joined.pieces)
        left = [*joined.pieces_of_text]
        reviewed_elsewhere: set[int] = set()

        async def review_next() -> None:
            for piece in pieces:
                async with self._text_calls:
                    verdict = await self._moderator.review_text(joined.text[piece.start : piece.end])
                if self._observe is not None:
                    self._observe("text", None, verdict)
                if verdict.flagged:
                    raise blocked("The text", verdict.category, None)
                for number in piece.texts:
                    left[number] -= 1
                if self._verdicts is not None:
                    if verdict.reviewer not in {None, self._verdicts.identity}:
                        reviewed_elsewhere.update(piece.texts)
                    done = [
                        digests[number]
                        for number in piece.texts
                        if left[number] == 0 and number not in reviewed_elsewhere
                    ]
                    await self._verdicts.add([digest for digest in done if digest is not None])

        await gather_or_raise_first([review_next() for _ in range(min(MAX_TEXT_CALLS, len(joined.pieces)))])


def blocked(what: str, category: str | None, path: str | None) -> ModerationBlocked:
    """Return the error for an image or a text that is not let through: the same words for every reason."""
    named = category or "unspecified"
    return ModerationBlocked(
        f"{what} was blocked by moderation (category: {named}). Change it and send the request again.",
        category=named,
        param=path,
    )


def moderation_of(
    record: AccessRecord,
    principal: Principal,
    services: Services,
    observe: Observe | None = None,
    *,
    cached: bool = True,
) -> Moderation | None:
    """Return the moderation of one request; zero-retention requests neither use nor make cached verdicts.

    Without ``cached`` no request does: cached verdicts have no scores. ``observe`` is called with every verdict.
    Texts of unauthenticated callers are not cached, since they share one project and do not know each other (ADR 68).
    """
    moderator = services.moderator
    if moderator is None:
        return None
    texts: TextVerdicts | None = None
    if cached and services.verdicts is not None and not record.zero_retention:
        clean = CleanVerdicts(services.verdicts, record, services.clock)
        if not moderator.local and not principal.anonymous:
            texts = TextVerdicts(clean, moderator.identity, principal.project)
        moderator = CachingModerator(moderator, clean)
    return Moderation(moderator, texts, _noting(record, observe))


def _noting(record: AccessRecord, observe: Observe | None) -> Observe:
    """Return what counts verdicts, and notes scores for the log and that another endpoint than the first gave one."""

    def note(modality: Literal["text", "image"], path: str | None, verdict: Verdict) -> None:
        if not verdict.cached:
            record.flagged_verdicts += verdict.flagged
            record.clean_verdicts += not verdict.flagged
        if not record.zero_retention:
            record.note_scores(verdict.scores)
            record.moderation_fallbacks += verdict.by_fallback
        if observe is not None:
            observe(modality, path, verdict)

    return note
