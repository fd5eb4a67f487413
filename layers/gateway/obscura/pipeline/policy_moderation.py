"""The moderation of a request under a policy, whose rules see the scores."""

from typing import Literal

from obscura.dialects.base import RequestContent
from obscura.errors import ModerationBlocked
from obscura.execution import gather_or_raise_first
from obscura.moderation.base import Verdict
from obscura.pipeline.apply_policy import RequestPolicy
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.moderate import moderation_of
from obscura.policy.facts import ModerationResult, Scores


def flagged_categories(verdict: Verdict) -> tuple[str, ...]:
    """Return the categories for which the gateway's own moderation blocks."""
    return (verdict.category or "unspecified",) if verdict.flagged else ()


async def moderated(
    check: ContentCheck,
    parsed: RequestContent,
    content: CheckedContent,
    policy: RequestPolicy,
    direction: Literal["input", "output"] = "input",
) -> ModerationResult:
    """Moderate content as it will be sent; what the gateway's own moderation blocks is the result, not an error.

    ``direction`` says which of the policy's thresholds hold: those of a request, or those of an answer.
    """
    items: list[Scores] = []

    def observe(modality: Literal["text", "image"], path: str | None, verdict: Verdict) -> None:
        items.append(Scores(modality, direction, verdict.scores, flagged_categories(verdict), path))

    needs_scores = any(document.rules.thresholds for document in policy.documents)
    moderation = moderation_of(check.record, check.principal, check.services, observe, cached=not needs_scores)
    # A request without videos needs no task beside the moderation: two tasks are a tenth of its CPU.
    steps = [check.inline_videos(parsed)] if parsed.videos else []
    if moderation is None:
        await gather_or_raise_first(steps)
        return ModerationResult(skipped="moderation is off")
    try:
        await gather_or_raise_first([check.moderate(parsed, content, moderation), *steps])
    except ModerationBlocked as blocked:
        return ModerationResult(tuple(items), blocked.category or "unspecified")
    return ModerationResult(tuple(items))
