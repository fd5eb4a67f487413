"""Moderate: every prepared picture in a call of its own, the text in another, all at once; no verdict, no answer."""

from collections.abc import Sequence

from obscura.errors import ModerationBlocked
from obscura.pipeline.concurrently import first_failure_of
from obscura.pipeline.prepare import Picture
from obscura.ports import Moderator


async def moderate(texts: Sequence[str], pictures: Sequence[Picture], moderator: Moderator | None) -> None:
    """Raise ModerationBlocked on the first flagged picture or text, ModerationUnavailable without a verdict."""
    if moderator is None:
        return
    reviews = [_review_picture(picture, moderator) for picture in pictures]
    text = "\n\n".join(text for text in texts if text.strip())
    if text:
        reviews.append(_review_text(text, moderator))
    await first_failure_of(reviews)


async def _review_picture(picture: Picture, moderator: Moderator) -> None:
    verdict = await moderator.review_picture(picture.data_url)
    if verdict.flagged:
        raise _blocked("The image", verdict.category, picture.path)


async def _review_text(text: str, moderator: Moderator) -> None:
    verdict = await moderator.review_text(text)
    if verdict.flagged:
        raise _blocked("The text", verdict.category, None)


def _blocked(what: str, category: str | None, path: str | None) -> ModerationBlocked:
    named = category or "unspecified"
    return ModerationBlocked(
        f"{what} was blocked by moderation (category: {named}). Change it and send the request again.",
        category=named,
        param=path,
    )
