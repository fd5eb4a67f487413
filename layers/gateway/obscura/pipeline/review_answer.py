"""The review of an answer by moderation and by services: whole, or in windows of a stream whose frames wait for it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.dialects.sse import LineSplitter
from obscura.errors import ModerationBlocked
from obscura.moderation.base import Verdict
from obscura.pipeline.moderate import moderation_of
from obscura.pipeline.policy_answer import AnswerPolicy
from obscura.pipeline.policy_stream import ScannedStream
from obscura.pipeline.services import Services
from obscura.policy.base import CheckClient
from obscura.policy.engine import CompiledPolicy
from obscura.policy.facts import CheckResult, RequestFacts, Scores

WINDOW_CHARS = 512
"""New characters of an answer whose frames are held until they are reviewed."""
CONTEXT_CHARS = 256
"""Characters that were passed on, and are reviewed again with those after them: what is said may cross a window."""


@dataclass(slots=True)
class AnswerReview:
    """Reviews the texts of one answer; what it finds is in the ``answer``'s decision.

    ``facts`` are those of the request, without its texts.
    """

    record: AccessRecord
    principal: Principal
    services: Services
    policy: CompiledPolicy
    checks: CheckClient
    facts: RequestFacts
    answer: AnswerPolicy

    async def review(self, texts: Sequence[str]) -> list[str] | None:
        """Review texts as the model wrote them; return them as services change them, None if they change none.

        Raises ModerationUnavailable without a verdict: what was not reviewed is not passed on.
        """
        written = [text for text in texts if text and not text.isspace()]
        if not written:
            return None
        if self.policy.moderates_output:
            await self._moderate(written)
        return await self.ask(texts) if self.policy.output_checks else None

    async def _moderate(self, texts: Sequence[str]) -> None:
        items: list[Scores] = []

        def observe(modality: Literal["text", "image"], _: str | None, verdict: Verdict) -> None:
            flagged = (verdict.category or "unspecified",) if verdict.flagged else ()
            items.append(Scores(modality, "output", verdict.scores, flagged))

        moderation = moderation_of(self.record, self.principal, self.services, observe, cached=False)
        if moderation is None:
            return
        with suppress(ModerationBlocked):  # its verdict is among the items: the policy's rules decide on it
            await moderation.review_texts(texts)
        self.answer.found(self.policy.check_output(items))

    async def ask(self, texts: Sequence[str]) -> list[str] | None:
        """Ask the checks of answers; return the texts as they change them, None if they change none."""
        left, results = tuple(texts), {}
        for check in self.policy.output_checks:
            result = await self.checks.ask(check, replace(self.facts, texts=left), (), output=True)
            results[check] = result
            left = result.texts or left
            if result.blocked:
                break
        self.answer.failed(self.policy.failed_output(results))
        self.answer.found(self.policy.checked_output(results))
        return None if left == tuple(texts) else list(left)


def asked_to_change(answer: AnswerPolicy, policy: CompiledPolicy) -> None:
    """Let the checks of an answer block: what was streamed cannot be changed any more."""
    changed = {check: CheckResult(check.name, blocked=True, changed=True) for check in policy.output_checks}
    answer.found(policy.checked_output(changed))


class _Waiting:
    """The frames of a stream that wait for a review."""

    def __init__(self, stream: ScannedStream, review: AnswerReview) -> None:
        self._stream = stream
        self._review = review
        self._held: list[bytes] = []
        self._context = ""
        self.is_cut = False
        """Whether a review ended the stream."""

    async def add(self, frame: bytes, *, is_last: bool) -> bytes:
        """Take a frame, and return what may be passed on: after a review if a window is full, or the answer over."""
        self._held.append(frame)
        unreviewed = self._review.answer.unreviewed
        if unreviewed and not is_last and sum(map(len, unreviewed)) < WINDOW_CHARS:
            return b""
        if unreviewed:
            await self._review_window()
            if self.is_cut:
                return self._stream.cut()
        self._stream.commit()
        passed = b"".join(self._held)
        self._held.clear()
        return passed

    async def _review_window(self) -> None:
        answer = self._review.answer
        window = self._context + "".join(answer.unreviewed)
        answer.unreviewed.clear()
        if await self._review.review([window]) is not None:
            asked_to_change(answer, self._review.policy)
        self._context = window[-CONTEXT_CHARS:]
        self.is_cut = not answer.shown.outcome.effective.reaches_model and not self._stream.ended


async def reviewed_stream(
    chunks: AsyncIterator[bytes], stream: ScannedStream, review: AnswerReview
) -> AsyncIterator[bytes]:
    """Yield a stream as the caller gets it, frame by frame; frames with text wait until a window is reviewed.

    A finding that ends the answer drops the frames that wait, and ends the stream as its dialect does.
    """
    lines, waiting = LineSplitter(), _Waiting(stream, review)
    stream.commit()
    async for chunk in chunks:
        whole = lines.feed(chunk)
        for frame in stream.frames(whole) if whole else ():
            if passed := await waiting.add(frame, is_last=stream.ended):
                yield passed
            if waiting.is_cut:
                return
        if stream.ended:
            return
    rest = lines.finish()
    last = b"".join(stream.frames(rest) if rest else ()) + stream.finish()
    if passed := await waiting.add(last, is_last=True):
        yield passed
