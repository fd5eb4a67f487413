"""Moderate a request: each image and the text in a call of its own, all at once. Without a verdict nothing passes."""

from collections.abc import Sequence

from obscura.errors import ModerationBlocked
from obscura.execution import gather_or_raise_first
from obscura.moderation.base import Moderator
from obscura.pipeline.prepare import PreparedImagePart


async def moderate(texts: Sequence[str], images: Sequence[PreparedImagePart], moderator: Moderator | None) -> None:
    """Raise ModerationBlocked on the first flagged image or text, ModerationUnavailable if a verdict is missing."""
    if moderator is None:
        return
    reviews = [_review_image(image, moderator) for image in images]
    text = "\n\n".join(text for text in texts if text.strip())
    if text:
        reviews.append(_review_text(text, moderator))
    await gather_or_raise_first(reviews)


async def _review_image(image: PreparedImagePart, moderator: Moderator) -> None:
    verdict = await moderator.review_image(image.data_url)
    if verdict.flagged:
        raise _blocked(image.name, verdict.category, image.path)


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
